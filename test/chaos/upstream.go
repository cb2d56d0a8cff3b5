package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// upstream publishes events by a client that is not ours, past the proxies, and keeps a ledger of what came of each.
type upstream struct {
	client     *kgo.Client
	cancel     context.CancelFunc
	publishing sync.WaitGroup

	mu      sync.Mutex
	ledger  map[topology.EventID]entry
	answers []time.Time // of Kafka
}

// entry is of an event that was published.
type entry struct {
	at        time.Time
	acked     bool // Kafka has said that it has it; else that is unknown
	partition int32
}

// due is when an event's message may be sent at the earliest.
func (e entry) due(id topology.EventID) time.Time {
	if kindOf(id) == scheduled {
		return e.at.Add(toSchedule)
	}
	return e.at
}

func startUpstream(ctx context.Context, brokers []string, names topology.Topics, rate int) *upstream {
	u := &upstream{ledger: make(map[topology.EventID]entry)}
	u.client = script.Must(kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordDeliveryTimeout(2*time.Minute),
		kgo.MetadataMaxAge(5*time.Second), kgo.ProducerLinger(5*time.Millisecond)))
	ctx, u.cancel = context.WithCancel(ctx)
	for lane, share := range shares {
		u.publishing.Go(func() { u.publish(ctx, names.Events(lane), lane, float64(rate)*share) })
	}
	return u
}

// publish publishes what is due every few milliseconds. The client bounds what is under way.
func (u *upstream) publish(ctx context.Context, topic topology.Topic, lane topology.Lane, rate float64) {
	for n, began := 0, time.Now(); retry.Sleep(ctx, 5*time.Millisecond); {
		for due := int(time.Since(began).Seconds() * rate); n < due; n++ {
			id := topology.EventID(fmt.Sprintf("%s-%d", lane, n))
			u.mu.Lock()
			u.ledger[id] = entry{at: time.Now()}
			u.mu.Unlock()
			u.client.Produce(context.WithoutCancel(ctx), &kgo.Record{
				Topic: string(topic), Key: []byte(id), Value: event(id, n)}, func(r *kgo.Record, err error) {
				u.mu.Lock()
				defer u.mu.Unlock()
				u.ledger[id] = entry{u.ledger[id].at, err == nil, r.Partition}
				u.answers = append(u.answers, time.Now())
			})
		}
	}
}

// toSchedule is for how long after they are published some events are scheduled, at least.
const toSchedule = 3 * time.Second

// An event's kind follows from its number.
const (
	scheduled = iota
	invoice   // whose template says not to send again what may have been sent
	nobody    // has no address
	uncovered // has no template
	unwanted  // has an address that is suppressed
	kinds     = 20
)

func event(id topology.EventID, n int) []byte {
	const order = `"ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}}`
	to := fmt.Sprintf("%s@mail.example", id)
	switch n % kinds {
	case scheduled:
		return fmt.Appendf(nil, `{"id":%q,"type":"order_confirmation","email":%q,"scheduled":%q,%s}`, id, to,
			time.Now().Add(toSchedule).UTC().Format(topology.TimeFormat), order)
	case invoice:
		return fmt.Appendf(nil, `{"id":%q,"type":"invoice","email":%q,"ctx":{"firstName":"Kim","invoice":{"number":"F-1",`+
			`"total":"10.00","currency":"SEK","due":"2026-12-31T00:00:00Z","link":"https://shop.test/f1","lines":[]}}}`, id, to)
	case nobody:
		return fmt.Appendf(nil, `{"id":%q,"type":"order_confirmation","email":"nobody",%s}`, id, order)
	case unwanted:
		to = suppressedAddress
	case uncovered:
		return fmt.Appendf(nil, `{"id":%q,"type":"unheard_of","email":%q,%s}`, id, to, order)
	}
	return fmt.Appendf(nil, `{"id":%q,"type":"order_confirmation","email":%q,%s}`, id, to, order)
}

// suppressedAddress is of somebody who wants no more messages.
const suppressedAddress = "unwanted@mail.example"

func kindOf(id topology.EventID) int {
	_, number, _ := strings.Cut(string(id), "-")
	n, _ := strconv.Atoi(number)
	return n % kinds
}

// wanted says whether a final status can be that of an event, of which it was so often said that it may have been sent.
func wanted(id topology.EventID, status topology.Status, reason string, doubts int) bool {
	ambiguous := status == topology.DeliveryError && reason == string(topology.ReasonAmbiguous) && doubts > 0
	switch kindOf(id) {
	case nobody:
		return status == topology.Ignored
	case unwanted: // what a deliverer did with it that died is not known
		return status == topology.Ignored && reason == string(topology.ReasonSuppressed) || ambiguous
	case uncovered:
		return status == topology.NotCovered
	}
	return status == topology.Sent || ambiguous
}

// stop ends publishing, and waits for Kafka's last answers.
func (u *upstream) stop() {
	u.cancel()
	u.publishing.Wait()
	_ = u.client.Flush(context.Background()) // RecordDeliveryTimeout bounds it
	u.client.Close()
}

// safe are the events of which Kafka has said that it has them.
func (u *upstream) safe() (ids []topology.EventID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, e := range u.ledger {
		if e.acked {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// gap is the longest time without an answer of Kafka: what the program cannot be better than.
func (u *upstream) gap(from, to time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return longestGap(u.answers, from, to)
}
