// Package uncovered finds the events that no template was linked to, and
// publishes those again for which there is a template now.
//
// The delivery log says which events were not covered, and Redis which of them
// still are. An event that is published again is the same event, redriven once
// more: however often that is repeated before the pipeline has taken it,
// it is one message.
package uncovered
