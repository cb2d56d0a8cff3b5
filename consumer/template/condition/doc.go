// Package condition is the "when" of a template: a CEL expression over an event
// that says whether the template covers it.
//
// A condition reads event, whose fields are known, and ctx, which is whatever
// the event brings. It is checked when it is compiled, as far as that can be
// known; what fails on an event later is an error of that event alone, and is
// bounded in what it costs.
package condition
