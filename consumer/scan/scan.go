package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Scan reads the ranges and gives their records to handle: those of one range
// in order, a fetch at a time, never none; those of several ranges side by
// side, so that handle is called by several goroutines at once. The records are
// handle's own. progress may be nil.
//
// Each record is given once, also through outages and moves of leaders. Offsets
// without a record are passed over. So is what can never be read, and what the topic has
// removed since the range was made, which both count as Progress.Lost.
//
// The first error of handle ends the scan and is returned, and so is the
// context's. Any other error is a *topology.NoTopicError, ErrAnew, or of the kafka package or the
// network.
func (t *Topics) Scan(ctx context.Context, ranges []Range, progress *Progress,
	handle func([]topology.Record) error) error {
	if progress == nil {
		progress = new(Progress)
	}
	for _, r := range ranges {
		progress.Total.Add(r.Size())
	}
	group, scanning := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	// So that no long range is read alone at the end.
	largestFirst := func(a, b Range) int { return cmp.Compare(b.Size(), a.Size()) }
	for _, r := range slices.SortedStableFunc(slices.Values(ranges), largestFirst) {
		if scanning.Err() != nil {
			break
		}
		group.Go(func() error {
			s := scanner{topics: t, Range: r, next: r.From, progress: progress, handle: handle, fetcher: consumer.Fetcher{
				Addr: t.Addr, Transport: t.Transport, Topic: r.Topic, ID: r.ID, Partition: r.Partition,
				MaxBytes: cmp.Or(t.FetchBytes, 1<<20), MaxWait: fetchWait, Log: t.Log,
			}}
			s.fetcher.SeekTo(r.From)
			return s.run(scanning)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

const (
	fetchers  = 4                      // partitions that are read at a time
	fetchWait = 500 * time.Millisecond // for records that are known to be there
)

type scanner struct {
	topics *Topics
	Range
	fetcher  consumer.Fetcher
	next     int64
	progress *Progress
	handle   func([]topology.Record) error
	refused  error // handle's
}

func (s *scanner) run(ctx context.Context) error {
	for s.next < s.To && s.refused == nil {
		if err := s.topics.retry(ctx, s.step); err != nil {
			return err
		}
	}
	return s.refused
}

// step moves on by a fetch, or finds out why it brings nothing.
func (s *scanner) step(ctx context.Context) error {
	fetched, err := s.fetcher.Fetch(ctx)
	switch {
	case err == nil && fetched.Moved:
		s.take(fetched)
		return nil
	case err == nil, errors.Is(err, kafka.OffsetOutOfRange), errors.Is(err, kafka.UnknownTopicID):
		return s.reorient(ctx)
	}
	return err
}

// take hands over what a fetch brought.
func (s *scanner) take(fetched consumer.Fetched) {
	records := fetched.Records
	for len(records) > 0 && records[len(records)-1].Offset >= s.To {
		records = records[:len(records)-1]
	}
	if len(records) > 0 {
		s.refused = s.handle(records)
	}
	if s.refused == nil {
		s.progress.Lost.Add(min(fetched.Lost, s.passTo(fetched.Next)))
	}
}

// passTo moves on to an offset, and returns how many of the range's were passed.
func (s *scanner) passTo(offset int64) int64 {
	offset = min(offset, s.To)
	passed := offset - s.next
	s.next = offset
	s.progress.Done.Add(passed)
	return passed
}

// reorient finds out why a fetch brought nothing, and moves on where the next
// offsets are gone: the oldest, by retention, or all up to the range's end, by
// the loss of a leader. The error is that neither is so, or not known.
func (s *scanner) reorient(ctx context.Context) error {
	kept, err := s.topics.kept(ctx, s.Topic, time.Time{}, s.Partition)
	if err != nil {
		return err
	}
	first, end := kept[0].From, kept[0].To
	switch {
	case s.fetcher.ID != kept[0].ID && s.fetcher.ID != "" && kept[0].ID != "":
		return fmt.Errorf("topic %s: %w", s.Topic, ErrAnew)
	case end <= s.next:
		s.progress.Lost.Add(s.passTo(s.To))
	case first > s.next:
		s.progress.Lost.Add(s.passTo(first))
		s.fetcher.SeekTo(first)
	default:
		return errNothing
	}
	return nil
}

// ErrAnew is that a topic was deleted and made again since a range of it was made.
var ErrAnew = errors.New("the topic was deleted and made again, and what is there now is something else: start anew")

var errNothing = errors.New("the broker brings nothing, though there are records")

// Progress is how far a scan is, in offsets. It may be read while the scan goes
// on. Its zero value is ready, for one scan.
type Progress struct {
	Total atomic.Int64 // that there are to pass; 0 before the scan
	Done  atomic.Int64 // that have been passed, with their records handled
	Lost  atomic.Int64 // of Done: removed before they were read, by the topic's retention for instance, or unreadable
}

const defaultPatience = 30 * time.Second

// retry calls try until it succeeds, longer apart each time. Its error is one for
// which there should be no other try: ctx's, a lasting one, or that of an outage
// that has tried the patience.
func (t *Topics) retry(ctx context.Context, try func(ctx context.Context) error) error {
	var wait retry.Backoff
	for began := (time.Time{}); ; {
		err := try(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case lasting(err):
			return err
		case began.IsZero():
			began = time.Now()
		case time.Since(began) >= cmp.Or(t.Patience, defaultPatience):
			return fmt.Errorf("gave up after %s: %w", time.Since(began).Round(100*time.Millisecond), err)
		}
		retry.Reconnect(t.Transport)
		if !wait.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}

// lasting reports whether an error will be the same however often one tries.
func lasting(err error) bool {
	if _, noTopic := errors.AsType[*topology.NoTopicError](err); noTopic || errors.Is(err, ErrAnew) {
		return true
	}
	code, _ := errors.AsType[kafka.Error](err)
	switch code {
	case kafka.InvalidTopic, kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.UnsupportedVersion, kafka.UnsupportedSASLMechanism, kafka.SASLAuthenticationFailed,
		kafka.SecurityDisabled, kafka.PolicyViolation:
		return true
	}
	return false
}
