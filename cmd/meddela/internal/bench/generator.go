package bench

import (
	"context"
	"sync"
	"time"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// generator publishes events at a fixed rate by a timetable: an event is due
// when the rate says so, however long earlier ones took, and what is measured
// counts from then.
type generator struct {
	to   *producer.Producer
	rate float64
	// interval is how long events are gathered for one call.
	interval time.Duration
	// due, if set, is told of each event before it is published.
	due func(topology.EventID, time.Time)
	// published, if set, is told of the events of a call.
	published func([]producer.Receipt)

	number int // of the next event
}

// callsAtOnce bounds the calls that wait for their acknowledgement. With more
// than these the generator falls behind its timetable.
const callsAtOnce = 64

func (b *Bench) newGenerator(names topology.Topics, rate float64, interval time.Duration) (*generator, error) {
	to, err := producer.New(producer.Config{Connection: b.Kafka, Prefix: names.Prefix, Compression: b.Compression})
	return &generator{to: to, rate: rate, interval: interval}, err
}

// run publishes by the timetable from start on, for as long as said. It
// returns when everything is acknowledged.
func (g *generator) run(ctx context.Context, start time.Time, d time.Duration) error {
	total := int(g.rate * d.Seconds())
	slots := make(chan struct{}, callsAtOnce)
	var calls sync.WaitGroup
	var failure error
	var once sync.Once
	defer func() { calls.Wait(); g.to.Close() }()
	for done := 0; done < total && ctx.Err() == nil; {
		at := g.dueAt(start, done).Add(g.interval)
		if err := sleep(ctx, time.Until(at)); err != nil {
			break
		}
		// At least the one that was waited for, whatever the rounding.
		n := max(min(scheduled(g.rate, start, time.Now()), total)-done, 1)
		records := g.take(start, done, n)
		done += n
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			receipts, err := g.to.PublishRecords(ctx, lane, records)
			if err != nil {
				once.Do(func() { failure = err })
				return
			}
			if g.published != nil {
				g.published(receipts)
			}
		})
	}
	calls.Wait()
	if failure == nil {
		failure = ctx.Err()
	}
	return failure
}

func (g *generator) dueAt(start time.Time, i int) time.Time {
	return start.Add(time.Duration(float64(i) / g.rate * float64(time.Second)))
}

// scheduled is how many events are due by a time: the first is at once.
func scheduled(rate float64, start, now time.Time) int {
	if now.Before(start) {
		return 0
	}
	return int(now.Sub(start).Seconds()*rate) + 1
}

func (g *generator) take(start time.Time, from, n int) []topology.Record {
	records := make([]topology.Record, n)
	for i := range records {
		records[i] = newEvent(g.number)
		g.number++
		if g.due != nil {
			g.due(topology.EventID(records[i].Key), g.dueAt(start, from+i))
		}
	}
	return records
}
