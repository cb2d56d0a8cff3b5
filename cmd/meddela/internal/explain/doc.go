// Package explain says why an event becomes the message that it becomes, or
// none: it lets the matcher's own function decide, with a trace, and words what
// that did, step by step.
package explain
