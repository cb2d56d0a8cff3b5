package difflog

import (
	"errors"
	"strconv"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// outcome is what becomes of one event under one catalogue.
type outcome struct {
	decision match.Decision
	message  template.Message // when it was rendered, and that succeeded
	failure  *template.Error  // when that failed
}

// outcomes decides on an event under both catalogues, as of its arrival. It
// renders where the texts can differ. ok is false when it is plain that nothing
// does.
func (c *Comparison) outcomes(event *topology.Event, r *topology.Record) (live, proposed outcome, ok bool) {
	if c.sameChoice(event) {
		return live, proposed, false
	}
	received := topology.ReceiptOf(r).At
	live.decision = decide(event, received, c.live, r.Time)
	proposed.decision = decide(event, received, c.proposed, r.Time)
	if l, p := &live.decision, &proposed.decision; l.Status != p.Status || l.Template != p.Template || l.Language != p.Language {
		live.render(event, c.live)
		proposed.render(event, c.proposed)
	}
	return live, proposed, true
}

func decide(event *topology.Event, received time.Time, from *catalogue.Catalogue, now time.Time) match.Decision {
	return match.Decide[*catalogue.Entry](event, received, from, now, nil)
}

// sameChoice tells whether both catalogues offer the same versions for the
// event, in the same order: then they agree on it.
func (c *Comparison) sameChoice(event *topology.Event) bool {
	l := c.live.Candidates(event.Type, event.Channel)
	p := c.proposed.Candidates(event.Type, event.Channel)
	if len(l) != len(p) {
		return false
	}
	for i := range l {
		if l[i].Ref() != p[i].Ref() {
			return false
		}
	}
	return len(l) > 0 || c.live.HasType(event.Type) == c.proposed.HasType(event.Type)
}

func (o *outcome) render(event *topology.Event, from *catalogue.Catalogue) {
	if o.decision.Status != topology.PendingDelivery {
		return
	}
	entry, ok := from.ByRef(o.decision.Template)
	if !ok {
		return
	}
	compiled, err := entry.Template()
	if err == nil {
		o.message, err = compiled.Render(event, o.decision.Language)
	}
	if err != nil && !errors.As(err, &o.failure) {
		o.failure = &template.Error{Reason: topology.ReasonRenderFailed, Template: entry.Ref(), Detail: "the template does not compile"}
	}
}

func (o *outcome) covered() bool { return o.decision.Status != topology.NotCovered }
func (o *outcome) expired() bool { return o.decision.Status == topology.Expired }

// name is the template's, empty when there is none.
func (o *outcome) name() string {
	name, _ := o.decision.Template.Split()
	return name
}

// cause says why rendering failed, and where; it has nothing of the event.
func (o *outcome) cause() string {
	f := o.failure
	if f == nil {
		return ""
	}
	where := f.Language
	if f.Part != "" {
		where += "/" + f.Part
	}
	if f.Line > 0 {
		where += ":" + strconv.Itoa(f.Line)
	}
	if where != "" {
		where += ": "
	}
	return where + f.Detail
}

// label is the outcome in a word or two.
func (o *outcome) label() string {
	if !o.covered() {
		return string(o.decision.Reason)
	}
	return o.name()
}
