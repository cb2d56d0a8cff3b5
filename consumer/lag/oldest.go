package lag

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

const (
	// oneFetchBytes is enough for a batch of records; a larger one comes whole.
	oneFetchBytes = 16 << 10
	// shortWait is how long a broker waits for a record that is there.
	shortWait = 100 * time.Millisecond
)

// readOldest reads the first record that is not done with wherever there is
// one, for its time. Those that cannot be read are left without.
func (g *Gauge) readOldest(ctx context.Context, report *Report) {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i := range report.Groups {
		group := &report.Groups[i]
		for j := range group.Partitions {
			p := &group.Partitions[j]
			if p.Lag > 0 && p.Topic != g.Names.Paused(group.Lane) { // which wait for an operator
				all.Go(func() error { p.Oldest = g.oldest(ctx, p, report.At); return nil })
			}
		}
	}
	_ = all.Wait()
}

// oldest is since when the first record that is not done with has waited.
func (g *Gauge) oldest(ctx context.Context, p *Partition, now time.Time) time.Time {
	fetcher := consumer.Fetcher{
		Addr: g.Addr, Transport: g.Transport, Topic: p.Topic, Partition: p.ID, MaxBytes: oneFetchBytes, MaxWait: shortWait,
	}
	fetcher.SeekTo(p.End - p.Lag)
	got, err := fetcher.Fetch(ctx)
	if err != nil || len(got.Records) == 0 {
		return time.Time{}
	}
	since := got.Records[0].Time
	if due, ok := dueOf(&got.Records[0]); ok {
		since = due
	}
	if since.After(now) {
		return time.Time{}
	}
	return since
}

// dueOf is when a record of a delay topic is due.
func dueOf(r *topology.Record) (time.Time, bool) {
	text, ok := r.Header(topology.HeaderDue)
	if !ok {
		return time.Time{}, false
	}
	due, err := time.Parse(time.RFC3339Nano, string(text))
	return due, err == nil
}
