package consumer_test

import (
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// TestImplausibleTimes: a record whose writer's clock was wrong, or who set the time in other units or none, counts as
// written when it is read. So no validity ends by such a time, and nothing waits for it.
func TestImplausibleTimes(t *testing.T) {
	w := newWorld(t)
	const topic topology.Topic = "test.times"
	w.CreateTopic(t, topic, 1, nil)
	begin := time.Now().Truncate(time.Millisecond)
	right := begin.Add(-time.Hour)
	times := []time.Time{right, time.UnixMilli(-1), time.UnixMilli(0), time.UnixMilli(right.Unix()),
		time.UnixMilli(right.UnixMicro()), time.UnixMilli(right.UnixNano()), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		begin.AddDate(10, 0, 0), begin.Add(time.Hour)}
	for _, at := range times {
		w.Publish(t, topic, 0, topology.Record{Value: []byte("{}"), Time: at})
	}
	f := consumer.Fetcher{
		Addr: w.Link.Addr(), Transport: w.Transport, Topic: topic, MaxBytes: 1 << 20, MaxWait: time.Second,
	}
	var got []topology.Record
	for len(got) < len(times) {
		fetched, err := f.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fetched.Records...)
	}
	for i, r := range got {
		isNow := !r.Time.Before(begin) && !r.Time.After(time.Now())
		if want := times[i]; isNow == want.Equal(right) || !isNow && !r.Time.Equal(want) {
			t.Errorf("a record written at %v is read as of %v", want, r.Time)
		}
	}
}
