package follow_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// tape is a Source in memory: a topic whose every outage is at the test's hand.
type tape struct {
	mu      sync.Mutex
	records []topology.Record
	outage  error
	wake    chan struct{}
}

func newTape(pairs ...string) *tape {
	s := &tape{wake: make(chan struct{})}
	s.put(pairs...)
	return s
}

// change changes the tape, and wakes who waits for news.
func (s *tape) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
	close(s.wake)
	s.wake = make(chan struct{})
}

// put writes records of keys and values; an empty value is a tombstone.
func (s *tape) put(pairs ...string) {
	s.change(func() {
		for i := 0; i < len(pairs); i += 2 {
			r := topology.Record{Offset: int64(len(s.records)), Key: []byte(pairs[i])}
			if pairs[i+1] != "" {
				r.Value = []byte(pairs[i+1])
			}
			s.records = append(s.records, r)
		}
	})
}

func (s *tape) Bounds(context.Context) (first, end int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 0, int64(len(s.records)), s.outage
}

func (s *tape) Fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	for {
		s.mu.Lock()
		records, outage, wake := s.records, s.outage, s.wake
		s.mu.Unlock()
		end := int64(len(records))
		switch {
		case outage != nil:
			return nil, from, outage
		case from > end:
			return nil, from, kafka.OffsetOutOfRange
		case from < end:
			next := min(from+2, end)
			return records[from:next], next, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, from, ctx.Err()
		}
	}
}

// pairs is a snapshot: the last value of each key.
type pairs struct{ of map[string]string }

// decode takes every record but those with the value "bad".
func decode(r *topology.Record) (key string, value *string, err error) {
	if string(r.Value) == "bad" {
		return "", nil, errors.New("it is bad")
	}
	return strings.TrimPrefix(string(r.Key), "not "), new(string(r.Value)), nil
}

func apply(p *pairs, changes []follow.Change[string]) *pairs {
	next := &pairs{make(map[string]string)}
	maps.Copy(next.of, p.of)
	for _, c := range changes {
		if c.Value == nil {
			delete(next.of, c.Key)
		} else {
			next.of[c.Key] = *c.Value
		}
	}
	return next
}

// start runs a follower for as long as the test.
func start(t *testing.T, source follow.Source, loaded func(*pairs)) *follow.Follower[pairs] {
	t.Helper()
	return startWith(t, source, loaded, zerolog.Nop())
}

func startWith(t *testing.T, source follow.Source, loaded func(*pairs), log zerolog.Logger) *follow.Follower[pairs] {
	t.Helper()
	f := follow.New(follow.Config[pairs, string]{
		Source: source, What: "pairs", Key: "first half", Decode: decode, Apply: apply, Loaded: loaded, Log: log,
	})
	fixtures.Run(t, f.Run)
	return f
}

// caughtUp is the snapshot that has all that the tape has now.
func caughtUp(t *testing.T, f *follow.Follower[pairs]) map[string]string {
	t.Helper()
	return fixtures.CaughtUp(t, f).of
}
