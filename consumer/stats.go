package consumer

import (
	"sync/atomic"
	"time"
)

// Stats are a loop's counters since its start. They are safe to read at any
// time.
type Stats struct {
	in, out, deadLetters, retries, skipped atomic.Int64
	joined                                 atomic.Bool
	lastMove                               atomic.Int64
}

// Fetched is how many records were read.
func (s *Stats) Fetched() int64 { return s.in.Load() }

// Published is how many records were written and acknowledged.
func (s *Stats) Published() int64 { return s.out.Load() }

// DeadLetters is how many records the loop itself gave up on.
func (s *Stats) DeadLetters() int64 { return s.deadLetters.Load() }

// Retries is how often a handler was called again because a server was away.
func (s *Stats) Retries() int64 { return s.retries.Load() }

// Skipped is how many records retention deleted before they were read.
func (s *Stats) Skipped() int64 { return s.skipped.Load() }

// Joined tells whether the loop is a member of its group with partitions
// being read.
func (s *Stats) Joined() bool { return s.joined.Load() }

// LastMove is when the loop last got an answer to a fetch.
func (s *Stats) LastMove() time.Time { return time.Unix(0, s.lastMove.Load()) }

func (s *Stats) fetch(n int) {
	s.in.Add(int64(n))
	s.lastMove.Store(time.Now().UnixNano())
}

func (s *Stats) publish(n int) { s.out.Add(int64(n)) }
func (s *Stats) deadLetter()   { s.deadLetters.Add(1) }
func (s *Stats) retry()        { s.retries.Add(1) }
func (s *Stats) skip(n int64)  { s.skipped.Add(n) }
