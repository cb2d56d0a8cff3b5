package samples

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

// Sample is an event of a demonstration.
type Sample struct {
	Lane topology.Lane
	// Event has its wire form in Raw.
	Event topology.Event
	// Want is the status that the event ends in, with the sample templates
	// and the sandbox provider: that of the scheduled ones is
	// pending_delivery, for longer than a demonstration lasts. Every event is
	// pending before that.
	Want topology.Status
}

// Events makes events without end: of several types, channels and languages, on
// both lanes. Of every fifty in a row from the first on, some end in each
// status but pending. The same seed and times give the same events.
func Events(seed uint64, now func() time.Time) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		source := rand.NewChaCha8(seedBytes(seed))
		g := generator{Rand: rand.New(source), entropy: source, now: now}
		for yield(g.next()) {
		}
	}
}

func seedBytes(seed uint64) (b [32]byte) {
	for i := range 8 {
		b[i] = byte(seed >> (8 * i))
	}
	return b
}

type generator struct {
	*rand.Rand
	entropy  *rand.ChaCha8
	now      func() time.Time
	outcomes []outcome // what is left of a deck of fifty
}

// next makes an event, and then sees to it that it ends as its outcome says.
func (g *generator) next() Sample {
	at := g.now()
	o := g.outcome()
	k := g.kind(o)
	p := g.person()
	s := Sample{Lane: k.lane, Want: o.want, Event: topology.Event{
		ID:            topology.EventID(ulid.MustNew(ulid.Timestamp(at), g.entropy).String()),
		Type:          k.eventType,
		Channel:       k.channel,
		To:            g.address(k.channel, p),
		Language:      p.language,
		Country:       p.country,
		Origin:        k.origin,
		ExternalID:    "cust-" + g.digits(4),
		CorrelationID: g.digits(8),
		Expiration:    at.Add(24 * time.Hour).UTC(),
	}}
	ctx := k.ctx(g, p, at)
	o.apply(&s.Event, ctx, at)
	s.Event.Ctx = encode(ctx)
	s.Event.Raw = s.Event.Append(nil)
	return s
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func (g *generator) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + g.IntN(10))
	}
	return string(b)
}

// address makes an address that the sandbox provider accepts. None can belong
// to anybody: the domain is reserved for tests, and the numbers are of a range
// that Sweden keeps for fiction.
func (g *generator) address(c topology.Channel, p person) string {
	switch c {
	case topology.Email:
		return p.mailbox + g.digits(3) + "@example.test"
	case topology.SMS:
		return fmt.Sprintf("+467017406%02d", 5+g.IntN(95))
	case topology.Push:
		return "device-" + g.digits(12)
	}
	return ""
}
