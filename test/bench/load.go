package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// eventBytes is the size of every event's value but where messages alone matter.
const eventBytes = 1024

const eventType = "order_confirmation"

var (
	languages = []string{"en", "sv-SE", "sv-FI", "nb-NO"}
	countries = []string{"GB", "SE", "FI", "NO"}
	names     = []string{"Kim", "Åsa", "Mika", "Ingrid", "Noor"}
	articles  = []string{"Wool blanket, grey", "Enamel mug 3 dl", "Desk lamp, brass", "Canvas bag", "Coat hook, oak"}
)

func recordOf(e topology.Event) topology.Record {
	return topology.Record{Key: []byte(e.ID), Value: e.Append(nil)}
}

// mail is an order confirmation with a new id.
func mail(number int) topology.Event {
	return topology.Event{
		ID: topology.EventID(ulid.Make().String()), Type: eventType, Channel: topology.Email,
		To: "customer." + strconv.Itoa(number) + "@example.com", Ctx: order(number),
	}
}

// newEvent makes an order confirmation of eventBytes, with a new id. It resembles its neighbours no more than real ones
// do.
func newEvent(number int) topology.Record {
	event := mail(number)
	event.Language, event.Country = languages[number%len(languages)], countries[number%len(countries)]
	event.Origin, event.ExternalID = "webshop", "cust-"+strconv.Itoa(number*7919%1_000_000)
	event.CorrelationID = "checkout-" + strconv.Itoa(number)
	r := recordOf(event)
	if missing := eventBytes - len(r.Value); missing > 0 {
		r.Value = stretch(r.Value, missing)
	}
	return r
}

// numbered makes events that differ, whichever partition they are for.
func numbered(partition, at int) topology.Record { return newEvent(at*partitions + partition) }

// order is the data of an order, which ends in a text that can be stretched.
func order(number int) []byte {
	lines := make([]string, 4)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"article":"%s","quantity":%d,"price":"%d.00"}`,
			articles[(number+i)%len(articles)], 1+(number+i)%3, 49+number*(i+1)%900)
	}
	return fmt.Appendf(nil,
		`{"firstName":"%s","order":{"number":"A-%d","currency":"SEK","lines":[%s],"total":"%d.90"},"note":""}`,
		names[number%len(names)], number, strings.Join(lines, ","), 200+number%5000)
}

// stretch fills the last text of an event, which is two braces and a quote before its end, with n bytes.
func stretch(value []byte, n int) []byte {
	const words, tail = "please leave the parcel with the neighbour if nobody is at home ", `"}}`
	note := strings.Repeat(words, n/len(words)+1)[:n]
	return append(append(value[:len(value)-len(tail)], note...), tail...)
}

// timetable says when events are due, however long earlier ones take.
type timetable struct {
	start  time.Time
	rate   float64 // events a second
	length time.Duration
}

func (t timetable) total() int { return int(t.rate * t.length.Seconds()) }

func (t timetable) at(i int) time.Time {
	return t.start.Add(time.Duration(float64(i) / t.rate * float64(time.Second)))
}

// by is how many events are due by a time: the first is at once.
func (t timetable) by(now time.Time) int {
	if now.Before(t.start) {
		return 0
	}
	return min(int(now.Sub(t.start).Seconds()*t.rate)+1, t.total())
}

// callsAtOnce bounds the calls that wait for their acknowledgement. With more than these, publishing falls behind its
// timetable.
const callsAtOnce = 64

// publish begins to publish events to the measured lane by a timetable, gathering those of an interval for one call.
// wait returns when everything is acknowledged.
func (s *system) publish(
	t timetable, gather time.Duration, next func(number int, due time.Time) topology.Record,
) (wait func()) {
	to := script.Must(producer.New(producer.Config{Connection: s.broker, Prefix: s.names.Prefix}))
	var publishing sync.WaitGroup
	publishing.Go(func() {
		defer to.Close()
		var calls errgroup.Group
		calls.SetLimit(callsAtOnce)
		for done := 0; done < t.total() && retry.Sleep(s.ctx, time.Until(t.at(done).Add(gather))); {
			// At least the one that was waited for, whatever the rounding.
			records := make([]topology.Record, max(t.by(time.Now())-done, 1))
			for i := range records {
				records[i] = next(done+i, t.at(done+i))
			}
			done += len(records)
			calls.Go(func() error {
				_, err := to.PublishRecords(s.ctx, lane, records)
				return err
			})
		}
		if err := calls.Wait(); err != nil {
			s.fail(err)
		}
	})
	return func() {
		publishing.Wait()
		script.Check(context.Cause(s.ctx))
	}
}
