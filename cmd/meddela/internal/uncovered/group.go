package uncovered

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// Group is the events that are not covered for the same reason.
type Group struct {
	Lane     topology.Lane    `json:"lane"`
	Type     string           `json:"type"`
	Channel  topology.Channel `json:"channel"`
	Language string           `json:"language"`
	Reason   topology.Reason  `json:"reason"`
	Events   int              `json:"events"`
	First    time.Time        `json:"first"`
	Last     time.Time        `json:"last"`
	// Sample is the event that came last, where it is, and what its entry says.
	Sample topology.EventID `json:"sample"`
	Source topology.Source  `json:"source"`
	Detail string           `json:"detail,omitempty"`
}

type groupKey struct {
	lane      topology.Lane
	eventType string
	channel   topology.Channel
	language  string
	reason    topology.Reason
}

// Groups sorts events by what they have in common, the most frequent first.
func Groups(events []Event) []Group {
	byKey := make(map[groupKey]*Group)
	for i := range events {
		e := &events[i]
		key := groupKey{e.Lane, e.Type, e.Channel, e.Language, e.Reason}
		g := byKey[key]
		if g == nil {
			g = &Group{Lane: e.Lane, Type: e.Type, Channel: e.Channel, Language: e.Language, Reason: e.Reason, First: e.UpdatedAt}
			byKey[key] = g
		}
		g.add(e)
	}
	groups := make([]Group, 0, len(byKey))
	for _, g := range byKey {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(b.Events, a.Events), strings.Compare(string(a.Lane), string(b.Lane)), strings.Compare(a.Type, b.Type),
			strings.Compare(string(a.Channel), string(b.Channel)), strings.Compare(a.Language, b.Language),
			strings.Compare(string(a.Reason), string(b.Reason)),
		)
	})
	return groups
}

func (g *Group) add(e *Event) {
	g.Events++
	if e.UpdatedAt.Before(g.First) {
		g.First = e.UpdatedAt
	}
	if !e.UpdatedAt.Before(g.Last) {
		g.Last, g.Sample, g.Source, g.Detail = e.UpdatedAt, e.EventID, e.Source, e.Detail
	}
}
