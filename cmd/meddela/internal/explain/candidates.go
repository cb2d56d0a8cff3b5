package explain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// Candidate is a live template for the event's type and channel.
type Candidate struct {
	Template    topology.TemplateRef `json:"template"`
	Languages   []string             `json:"languages"`
	Default     string               `json:"default_language"`
	Language    string               `json:"language"` // nearest to the wanted one
	Distance    int                  `json:"distance"` // of that from the wanted one; 0 is the same
	When        string               `json:"when,omitempty"`
	Condition   Condition            `json:"condition"`
	Failure     string               `json:"failure,omitempty"` // why the condition failed
	Asked       bool                 `json:"asked"`             // whether the decision needed the condition
	Conditions  int                  `json:"conditions"`        // that when joins
	Types       []string             `json:"types"`
	PublishedAt time.Time            `json:"published_at,omitzero"`
	Outcome     Outcome              `json:"outcome"`
	Why         string               `json:"why"`
}

// Condition is what a template's when says of the event.
type Condition string

const (
	NoCondition Condition = "none"
	Holds       Condition = "true"
	HoldsNot    Condition = "false"
	Fails       Condition = "failed" // it cannot be evaluated on this event
)

// Outcome is what became of a candidate.
type Outcome string

const (
	Chosen           Outcome = "chosen"
	ConditionFalse   Outcome = "condition_false"
	ConditionFailed  Outcome = "condition_failed"  // which ends the choice
	NotReached       Outcome = "not_reached"       // the choice had ended before it
	FartherLanguage  Outcome = "farther_language"  // than the chosen one's
	LessSpecific     Outcome = "less_specific"     // than the chosen one
	PublishedEarlier Outcome = "published_earlier" // than the chosen one
	LaterName        Outcome = "later_name"        // than the chosen one's, all else being equal
)

// candidatesOf lists every candidate once, with what the trace says of it.
func candidatesOf(event *topology.Event, c *catalogue.Catalogue, d *match.Decision, trace match.Trace) []Candidate {
	facts := condition.NewFacts(event)
	chosen, _ := c.ByRef(d.Template)
	all := []Candidate{}
	for _, entry := range c.Candidates(event.Type, event.Channel) {
		candidate := candidateOf(entry, event, facts)
		candidate.Asked = slices.Contains(trace, entry.Ref())
		candidate.Outcome, candidate.Why = candidate.outcome(entry, chosen, event.Language)
		all = append(all, candidate)
	}
	return all
}

func candidateOf(entry *catalogue.Entry, event *topology.Event, facts *condition.Facts) Candidate {
	record := entry.Record()
	c := Candidate{
		Template: entry.Ref(), Languages: entry.Languages().Names, Default: entry.Languages().Default,
		When: record.When, Conditions: entry.Conditions(), Types: record.Types, PublishedAt: record.PublishedAt.UTC(),
	}
	c.Language, c.Distance = entry.Languages().Nearest(event.Language)
	holds, err := entry.Holds(facts)
	switch failed, ok := errors.AsType[condition.Fault](err); {
	case ok && failed.Line == 1: // most conditions are a single line
		c.Condition, c.Failure = Fails, failed.Detail
	case err != nil:
		c.Condition, c.Failure = Fails, err.Error()
	case c.When == "":
		c.Condition = NoCondition
	case holds:
		c.Condition = Holds
	default:
		c.Condition = HoldsNot
	}
	return c
}

// outcome is what became of a candidate; chosen is nil when the choice ended without one.
func (c *Candidate) outcome(entry, chosen *catalogue.Entry, wanted string) (Outcome, string) {
	switch {
	case chosen == entry && c.When == "":
		return Chosen, "the first of the nearest language, and it has no condition"
	case chosen == entry:
		return Chosen, "the first of the nearest language whose condition holds"
	case c.Asked && c.Condition == Fails:
		return ConditionFailed, "its condition cannot be evaluated on this event, and that ends the choice"
	case c.Asked:
		return ConditionFalse, "its condition is false"
	case chosen == nil:
		return NotReached, "the choice had ended before it"
	}
	language, distance := chosen.Languages().Nearest(wanted)
	mine, theirs := entry.Record(), chosen.Record()
	switch {
	case c.Distance > distance:
		return FartherLanguage, fmt.Sprintf("its language %s is farther from %s than %s", c.Language,
			cmp.Or(wanted, "none"), language)
	case c.Conditions < chosen.Conditions():
		return LessSpecific, fmt.Sprintf("less specific: its when has %d conditions, and that of %s %d",
			c.Conditions, theirs.Name, chosen.Conditions())
	case len(mine.Types) > len(theirs.Types):
		return LessSpecific, fmt.Sprintf("less specific: it covers %d types, and %s %d", len(mine.Types),
			theirs.Name, len(theirs.Types))
	case mine.PublishedAt.Before(theirs.PublishedAt):
		return PublishedEarlier, "published earlier than " + theirs.Name
	}
	return LaterName, "all else is equal, and its name comes after " + theirs.Name
}

// Other is a template that is no candidate, and would be but for one thing.
type Other struct {
	Template topology.TemplateRef `json:"template"`
	Channel  topology.Channel     `json:"channel"`
	Cause    Cause                `json:"cause"`
}

// Cause is why a template is no candidate.
type Cause string

const (
	OtherChannel Cause = "other_channel"
	Retired      Cause = "retired"
	NotAnyMore   Cause = "not_any_more" // an older version covers the type on the channel, the live one does not
)

func othersOf(event *topology.Event, c *catalogue.Catalogue) []Other {
	others := []Other{}
	told := map[string]bool{}
	for entry := range c.All() {
		record := entry.Record()
		if told[record.Name] || !slices.Contains(record.Types, event.Type) {
			continue
		}
		told[record.Name] = true
		onChannel := record.Channel == event.Channel
		latest, _ := c.Latest(record.Name)
		isCandidate := latest.Record().Channel == event.Channel && slices.Contains(latest.Record().Types, event.Type)
		switch {
		case entry == latest && record.Retired:
			others = append(others, Other{entry.Ref(), record.Channel, Retired})
		case entry == latest && !onChannel:
			others = append(others, Other{entry.Ref(), record.Channel, OtherChannel})
		case entry != latest && onChannel && !isCandidate:
			others = append(others, Other{entry.Ref(), record.Channel, NotAnyMore})
		}
	}
	return others
}

// Types lists the event types that live templates cover, sorted.
func Types(c *catalogue.Catalogue) []string {
	var types []string
	for entry := range c.AllLive() {
		types = append(types, entry.Record().Types...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}
