package difflog

import (
	"cmp"
	"slices"
	"time"

	"github.com/meddela/meddela/topology"
)

// Report is what a comparison found.
type Report struct {
	// Events is how many were compared, and Unchanged how many of them come to
	// the same.
	Events    int64 `json:"events"`
	Unchanged int64 `json:"unchanged"`
	// Unreadable records are no events, whatever the templates are.
	Unreadable int64 `json:"unreadable"`
	// Changes are by Kind, in the order of Kinds, then the most events first.
	Changes []Change `json:"changes"`
}

// Change is events whose outcome changes in the same way.
type Change struct {
	Kind Kind `json:"kind"`
	// Live and Proposed are the template's name, or the reason for which there
	// is none.
	Live     string `json:"live"`
	Proposed string `json:"proposed"`
	// Detail is the cause of a failure, of a condition's too, or the languages.
	Detail string `json:"detail,omitempty"`
	Events int64  `json:"events"`
	// Parts counts in how many of the messages each part differs.
	Parts    map[string]int64 `json:"parts,omitempty"`
	Examples []Example        `json:"examples,omitempty"`
}

// Example is one event. It has nothing of the event's content unless that was
// asked for, and never the recipient's address.
type Example struct {
	ID       topology.EventID `json:"id"`
	Source   topology.Source  `json:"source"` // of the record that was read
	At       time.Time        `json:"at"`     // when that was written
	Type     string           `json:"type"`
	Live     Side             `json:"live"`
	Proposed Side             `json:"proposed"`
	Parts    []Part           `json:"parts,omitempty"` // that differ

	position position
}

// Side is the outcome of an event under one catalogue.
type Side struct {
	Status   topology.Status      `json:"status"`
	Reason   topology.Reason      `json:"reason,omitempty"`
	Template topology.TemplateRef `json:"template,omitempty"`
	Language string               `json:"language,omitempty"`
	Error    string               `json:"error,omitempty"` // of the rendering or of a condition
	Expires  time.Time            `json:"expires,omitzero"`
}

// Part is a part of a message that differs.
type Part struct {
	Name  string `json:"name"`
	Where string `json:"where"` // the lines of the live text
	// Diff is the difference, in the unified form; nil unless content was asked
	// for.
	Diff []string `json:"diff,omitempty"`
}

// position orders examples, so that the same events give the same report.
type position struct {
	topic     topology.Topic
	partition int
	offset    int64
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.topic, q.topic), cmp.Compare(p.partition, q.partition), cmp.Compare(p.offset, q.offset))
}

func (e *Example) setDiff(d differingPart) {
	for i := range e.Parts {
		if e.Parts[i].Name == d.name {
			e.Parts[i].Diff = shortDiff(d.live, d.proposed)
		}
	}
}

func (o *outcome) side() Side {
	s := Side{
		Status: o.decision.Status, Reason: o.decision.Reason,
		Template: o.decision.Template, Language: o.decision.Language,
		Error: cmp.Or(o.cause(), o.decision.Detail), Expires: o.decision.Expires,
	}
	if o.failure != nil {
		s.Reason = o.failure.Reason
	}
	return s
}

// group is what events are counted by.
type group struct {
	kind                   Kind
	live, proposed, detail string
}

func groupOf(kind Kind, live, proposed *outcome) group {
	g := group{kind: kind, live: live.label(), proposed: proposed.label()}
	switch kind {
	case NewlyFailing, FailingOtherwise:
		g.detail = proposed.cause()
	case NoLongerFailing:
		g.detail = live.cause()
	case NoLongerCovered, OtherReason:
		g.detail = proposed.decision.Detail
	case OtherLanguage:
		g.detail = live.decision.Language + " to " + proposed.decision.Language
	}
	return g
}

// sortChanges puts what needs looking at first.
func sortChanges(changes []Change) {
	rank := map[Kind]int{}
	for i, k := range Kinds() {
		rank[k] = i
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(rank[a.Kind], rank[b.Kind]),
			cmp.Compare(b.Events, a.Events),
			cmp.Compare(a.Live, b.Live), cmp.Compare(a.Proposed, b.Proposed), cmp.Compare(a.Detail, b.Detail),
		)
	})
}
