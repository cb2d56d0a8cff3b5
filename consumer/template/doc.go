// Package template turns an event into the text of a message, by one version of
// a template.
//
// A template is compiled once and rendered by many goroutines. What an event
// lacks is an error that names the path, never an empty string; HTML and JSON
// are escaped by where a value stands; and whatever a template or an event
// holds, a rendering ends soon and is of bounded size.
package template
