package difflog

import (
	"errors"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Kind is how an event's outcome changes: the first that holds in the order of Kinds.
type Kind string

const (
	NewlyFailing     Kind = "newly_failing"     // cannot be rendered any more
	NoLongerCovered  Kind = "no_longer_covered" // has no template any more
	NewlyCovered     Kind = "newly_covered"     // had no template
	OtherReason      Kind = "other_reason"      // has no template either way, for another reason
	NewlyExpired     Kind = "newly_expired"     // would have come too late on arrival
	NoLongerExpired  Kind = "no_longer_expired" // came too late on arrival
	NoLongerFailing  Kind = "no_longer_failing" // could not be rendered
	FailingOtherwise Kind = "failing_otherwise" // cannot be rendered either way, for another cause
	OtherTemplate    Kind = "other_template"    // another template is chosen
	OtherLanguage    Kind = "other_language"    // the same template has another language for it
	OtherText        Kind = "other_text"        // its message, or where it is sent, differs
	OtherExpiry      Kind = "other_expiry"      // its message is worth sending for longer, or for less long
)

const unchanged Kind = ""

// Kinds lists every kind, what needs looking at first.
func Kinds() []Kind {
	return []Kind{
		NewlyFailing, NoLongerCovered, NewlyCovered, OtherReason, NewlyExpired, NoLongerExpired,
		NoLongerFailing, FailingOtherwise, OtherTemplate, OtherLanguage, OtherText, OtherExpiry,
	}
}

type outcome struct {
	Side
	message template.Message // when it was rendered, and that succeeded
	failed  bool             // when that did not
}

// outcomes decides under both catalogues as of the event's arrival, and renders where texts can differ.
func (c *Comparison) outcomes(event *topology.Event, r *topology.Record) (live, proposed outcome) {
	received := topology.ReceiptOf(r).At
	live.Side = Side(match.Decide(event, received, c.Live, r.Time, nil))
	proposed.Side = Side(match.Decide(event, received, c.Proposed, r.Time, nil))
	if live.Status != proposed.Status || live.Template != proposed.Template || live.Language != proposed.Language {
		live.render(event, c.Live)
		proposed.render(event, c.Proposed)
	}
	return live, proposed
}

func (o *outcome) render(event *topology.Event, from *catalogue.Catalogue) {
	entry, ok := from.ByRef(o.Template)
	if o.Status != topology.PendingDelivery || !ok {
		return
	}
	var err error
	o.message, err = entry.Template().Render(event, o.Language)
	if failure, ok := errors.AsType[*template.Error](err); ok {
		where := authoring.Where("", entry.Record().Channel, failure)
		o.failed, o.Reason, o.Detail = true, failure.Reason, strings.TrimPrefix(where+": "+failure.Detail, ": ")
	}
}

func (o *outcome) covered() bool { return o.Status != topology.NotCovered }
func (o *outcome) expired() bool { return o.Status == topology.Expired }

// name is the template's, empty when there is none.
func (o *outcome) name() string {
	name, _ := o.Template.Split()
	return name
}

func (o *outcome) label() string {
	if !o.covered() {
		return string(o.Reason)
	}
	return o.name()
}

// kindOf is how two outcomes of an event differ; otherText reports whether their messages do.
func kindOf(live, proposed *outcome, otherText bool) Kind {
	switch {
	case proposed.failed && !live.failed:
		return NewlyFailing
	case live.covered() && !proposed.covered():
		return NoLongerCovered
	case !live.covered() && proposed.covered():
		return NewlyCovered
	case !live.covered() && live.Reason != proposed.Reason:
		return OtherReason
	case !live.covered():
		return unchanged
	case !live.expired() && proposed.expired():
		return NewlyExpired
	case live.expired() && !proposed.expired():
		return NoLongerExpired
	case live.failed && !proposed.failed:
		return NoLongerFailing
	case live.failed && (live.name() != proposed.name() || live.Detail != proposed.Detail):
		return FailingOtherwise
	case live.failed:
		return unchanged
	case live.name() != proposed.name():
		return OtherTemplate
	case live.Language != proposed.Language:
		return OtherLanguage
	case otherText:
		return OtherText
	case !live.Expires.Equal(proposed.Expires):
		return OtherExpiry
	}
	return unchanged
}

func groupOf(kind Kind, live, proposed *outcome) Group {
	g := Group{Kind: kind, Live: live.label(), Proposed: proposed.label()}
	switch kind {
	case NewlyFailing, FailingOtherwise, NoLongerCovered, OtherReason:
		g.Detail = proposed.Detail
	case NoLongerFailing:
		g.Detail = live.Detail
	case OtherLanguage:
		g.Detail = live.Language + " to " + proposed.Language
	}
	return g
}
