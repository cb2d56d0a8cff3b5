// Package strictyaml reads configuration files of nested mappings, and tells of
// everything that is wrong in one at once, with the line, what it is, and what
// to do. A key that nobody asks for is wrong too.
package strictyaml
