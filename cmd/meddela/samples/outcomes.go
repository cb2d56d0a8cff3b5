package samples

import (
	"time"

	"github.com/meddela/meddela/topology"
)

// outcome is how an event is to end, and what brings that about.
type outcome struct {
	want topology.Status
	// ofFifty is how many of fifty events have it.
	ofFifty int
	// apply changes an event, made to be sent, so that it ends that way.
	apply func(e *topology.Event, ctx object, at time.Time)
}

// outcomes are all ways to end; those in the same status have different causes.
var outcomes = []outcome{
	{topology.Sent, 37, func(*topology.Event, object, time.Time) {}},
	{topology.PendingDelivery, 2, func(e *topology.Event, _ object, at time.Time) {
		e.Scheduled = at.Add(time.Hour).UTC()
	}},
	{topology.Ignored, 2, func(e *topology.Event, _ object, _ time.Time) { e.To = "" }},
	{topology.Ignored, 2, func(e *topology.Event, _ object, _ time.Time) { e.To = skipped(e) }},
	{topology.Expired, 2, func(e *topology.Event, _ object, at time.Time) {
		e.Expiration = at.Add(-time.Minute).UTC()
	}},
	{topology.NotCovered, 1, func(e *topology.Event, _ object, _ time.Time) {
		e.Type = "loyalty_tier_changed"
	}},
	{topology.NotCovered, 1, func(e *topology.Event, _ object, _ time.Time) {
		e.Channel, e.To = topology.Webhook, ""
	}},
	{topology.DeliveryError, 2, func(e *topology.Event, _ object, _ time.Time) { e.To = rejected(e) }},
	{topology.DeliveryError, 1, func(_ *topology.Event, ctx object, _ time.Time) { clear(ctx) }},
}

// outcome draws from a deck of fifty, so that none is rare by chance.
func (g *generator) outcome() outcome {
	if len(g.outcomes) == 0 {
		for _, o := range outcomes {
			for range o.ofFifty {
				g.outcomes = append(g.outcomes, o)
			}
		}
		g.Shuffle(len(g.outcomes), func(i, j int) { g.outcomes[i], g.outcomes[j] = g.outcomes[j], g.outcomes[i] })
	}
	last := len(g.outcomes) - 1
	o := g.outcomes[last]
	g.outcomes = g.outcomes[:last]
	return o
}

// rejected is an address that the sandbox provider rejects for good.
func rejected(e *topology.Event) string {
	switch e.Channel {
	case topology.SMS:
		return "+46700000000"
	case topology.Push:
		return "fail-" + e.To
	}
	return "kim@fail.example.test"
}

// skipped is an address that the sandbox provider skips, where the channel has
// such addresses, or else none.
func skipped(e *topology.Event) string {
	switch e.Channel {
	case topology.SMS:
		return ""
	case topology.Push:
		return "skip-" + e.To
	}
	return "kim@skip.example.test"
}
