package condition

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// Facts are what conditions read of one event. They are made once for an event
// and shared by all conditions that are tried on it; of its ctx only what a
// condition reads is decoded. They must not be used by several goroutines at
// once.
type Facts struct {
	event *topology.Event
	ctx   *object // nil until it is read
	meter meter
}

// NewFacts makes the facts of an event, which must stay as it is.
func NewFacts(event *topology.Event) *Facts { return &Facts{event: event} }

// ResolveName returns a variable by its name.
func (f *Facts) ResolveName(name string) (any, bool) {
	if name == ctxName {
		return f.root(), true
	}
	e := f.event
	switch name {
	case "event.id":
		return types.String(e.ID), true
	case "event.type":
		return types.String(e.Type), true
	case "event.channel":
		return types.String(e.Channel), true
	case "event.to":
		return types.String(e.To), true
	case "event.language":
		return types.String(e.Language), true
	case "event.country":
		return types.String(e.Country), true
	case "event.origin":
		return types.String(e.Origin), true
	case "event.externalId":
		return types.String(e.ExternalID), true
	case "event.correlationId":
		return types.String(e.CorrelationID), true
	case fieldScheduled:
		return maybeTime(e.Scheduled), true
	case fieldExpiration:
		return maybeTime(e.Expiration), true
	}
	return nil, false
}

func (f *Facts) root() *object {
	if f.ctx == nil {
		f.ctx = &object{position: position{raw: gjson.ParseBytes(f.event.Ctx), depth: 1, meter: &f.meter}}
	}
	return f.ctx
}

// Parent is nil: there are no other variables.
func (f *Facts) Parent() cel.Activation { return nil }

func maybeTime(t time.Time) any {
	if t.IsZero() {
		return types.OptionalNone
	}
	return types.OptionalOf(types.Timestamp{Time: t})
}
