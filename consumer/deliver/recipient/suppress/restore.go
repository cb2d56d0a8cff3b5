package suppress

import (
	"context"

	"github.com/meddela/meddela/topology"
)

// Restore writes to the topic what only Redis has: the copy of a topic that was lost. It
// returns how many suppressions it has written. The copy must not be run meanwhile; nobody
// sends before it has ended. What the topic has of the same address and cause is replaced.
func (l *List) Restore(ctx context.Context) (restored int, err error) {
	if l.Hasher == nil {
		return 0, ErrNoPepper
	}
	topic, end, err := l.beginAgain(ctx)
	if err != nil {
		return 0, err
	}
	lost, err := l.lostBuckets(ctx, topic, end)
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	err = l.walk(ctx, func(bucket int, all []topology.Suppression) error {
		if !lost[bucket] || len(all) == 0 {
			return nil
		}
		records := make([]topology.Record, len(all))
		for i := range all {
			records[i] = l.record(&all[i])
		}
		restored += len(all)
		return l.Publish(ctx, records)
	})
	if err != nil {
		return restored, err
	}
	for bucket := range lost {
		if err := l.Client.Unlink(ctx, l.Keys.Suppressions(bucket)).Err(); err != nil {
			return restored, err
		}
	}
	return restored, nil
}

// beginAgain returns the topic's name and end, after it was begun where it is empty.
func (l *List) beginAgain(ctx context.Context) (topic string, end int64, err error) {
	first, end, err := l.Source.Bounds(ctx)
	if err == nil && first == end {
		if err = l.Publish(ctx, []topology.Record{l.head()}); err == nil {
			first, end, err = l.Source.Bounds(ctx)
		}
	}
	if err == nil {
		topic, err = l.headAt(ctx, first)
	}
	return topic, end, err
}

// lostBuckets are those whose topic is another one, or is not there so far any more.
func (l *List) lostBuckets(ctx context.Context, topic string, end int64) (lost map[int]bool, err error) {
	found, err := l.readMarks(ctx)
	lost = make(map[int]bool)
	for i := range found {
		of, at, none := parseMark(found[i][0])
		if none || of == topic && at <= end {
			continue
		}
		if pepper, _ := topology.PepperOf(of); pepper != l.Hasher.fingerprint {
			return nil, ErrPepper
		}
		lost[i] = true
	}
	return lost, err
}
