package samples

import (
	"time"

	"github.com/meddela/meddela/topology"
)

// fate is how an event is to end, and what brings that about.
type fate struct {
	want topology.Status
	// ofFifty is how many of fifty events have it.
	ofFifty int
	// befall changes an event, made to be sent, so that it ends that way.
	befall func(e *topology.Event, ctx object, at time.Time)
}

// fates are all ways to end; those in the same status have different causes.
var fates = []fate{
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
	{topology.DeliveryError, 2, func(e *topology.Event, _ object, _ time.Time) { e.To = refused(e) }},
	{topology.DeliveryError, 1, func(_ *topology.Event, ctx object, _ time.Time) { clear(ctx) }},
}

// fate draws from a deck of fifty, so that none is rare by chance.
func (g *generator) fate() fate {
	if len(g.fates) == 0 {
		for _, f := range fates {
			for range f.ofFifty {
				g.fates = append(g.fates, f)
			}
		}
		g.Shuffle(len(g.fates), func(i, j int) { g.fates[i], g.fates[j] = g.fates[j], g.fates[i] })
	}
	last := len(g.fates) - 1
	f := g.fates[last]
	g.fates = g.fates[:last]
	return f
}

// refused is an address that the sandbox provider refuses for good.
func refused(e *topology.Event) string {
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
