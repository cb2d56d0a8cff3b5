package consumer

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are a loop's counters since its start. They are safe to read at any
// time.
type Stats struct {
	in, out, deadLetters, retries, skipped atomic.Int64
	fetchFaults, joinFaults, commitFaults  atomic.Int64
	joined                                 atomic.Bool

	mu       sync.Mutex
	trackers []*tracker
}

// Fetched is how many records were read.
func (s *Stats) Fetched() int64 { return s.in.Load() }

// Published is how many records were written and acknowledged.
func (s *Stats) Published() int64 { return s.out.Load() }

// DeadLetters is how many dead letters were written, by the handler and by the
// loop itself.
func (s *Stats) DeadLetters() int64 { return s.deadLetters.Load() }

// Retries is how often a handler was called again because a server was away.
func (s *Stats) Retries() int64 { return s.retries.Load() }

// Skipped is how many records retention deleted before they were read, and how many
// could not be kept as dead letters.
func (s *Stats) Skipped() int64 { return s.skipped.Load() }

// Faults are how often Kafka failed to answer to a fetch, to a join of the group
// and to a commit. Each was tried again.
func (s *Stats) Faults() (fetches, joins, commits int64) {
	return s.fetchFaults.Load(), s.joinFaults.Load(), s.commitFaults.Load()
}

// Lags are how far the loop is behind in each partition that it reads now.
func (s *Stats) Lags() []Lag {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, lags := time.Now(), make([]Lag, len(s.trackers))
	for i, t := range s.trackers {
		lags[i] = t.lag(now)
	}
	return lags
}

// Stalled is for how long the loop has not moved, where it was the loop's to move:
// waiting for Kafka, for Redis or for a time that is to come does not count.
func (s *Stats) Stalled() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, longest := time.Now(), time.Duration(0)
	for _, t := range s.trackers {
		longest = max(longest, t.stalled(now))
	}
	return longest
}

func (s *Stats) track(t *tracker) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trackers = append(s.trackers, t)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.trackers = slices.DeleteFunc(s.trackers, func(other *tracker) bool { return other == t })
	}
}

// Joined reports whether the loop is a member of its group with partitions
// being read.
func (s *Stats) Joined() bool { return s.joined.Load() }
