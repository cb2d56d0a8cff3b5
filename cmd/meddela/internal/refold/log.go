// Package refold folds the topics that statuses are made of again: to hold Redis against
// them, to write statuses anew, and to tell the history of an event.
package refold

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// Log is the topics of statuses, or a part of them.
type Log struct {
	Topics     *scan.Topics
	Names      topology.Topics
	Lanes      []topology.Lane
	Partitions []int     // of each topic; none for all
	Since      time.Time // from when on records were written; zero for all that is kept
	Until      time.Time // before when; zero for all that there is
}

type place struct {
	topic     topology.Topic
	partition int
}

type fold struct {
	topology.State
	last  topology.Source // the record that brought the rank
	due   time.Time       // when that goes on, where it waits
	job   topology.Rank   // less than that of any entry of its last job
	jobAt time.Time
}

type folds map[topology.EventID]*fold

// of is the fold of an event, empty at first.
func (f folds) of(id topology.EventID) *fold {
	if f[id] == nil {
		f[id] = &fold{State: topology.State{EventID: id}}
	}
	return f[id]
}

func (f folds) add(r *topology.Record, s *topology.State) {
	of := f.of(s.EventID)
	switch {
	case s.Status == "":
		of.job, of.jobAt = max(of.job, s.Rank), later(of.jobAt, s.UpdatedAt)
		return
	case s.Rank > of.Rank:
		of.last = r.Source()
		if s.Status == topology.PendingDelivery && s.Reason != topology.NoReason {
			entry, _ := topology.DecodeEntry(r.Value)
			of.due = entry.Due
		}
	}
	of.Merge(s)
}

// waits reports whether nothing has come of the last job, as far as Redis and the topics know: there is no entry of it,
// or but an end that role match says of another reading of the event, which is of no attempt as the job's rank is, and
// which the job outlives.
func (f *fold) waits(has *topology.State) bool {
	if has.Rank < f.Rank {
		has = &f.State
	}
	matched := strings.TrimRight(string(f.job), "0123456789")
	return f.job > has.Rank || f.job != "" && has.Status.Final() && strings.HasPrefix(string(has.Rank), matched)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// has reports whether a partition of a topic of a lane is in the log.
func (l *Log) has(lane topology.Lane, partition int) bool {
	return slices.Contains(l.Lanes, lane) && (len(l.Partitions) == 0 || slices.Contains(l.Partitions, partition))
}

// Check refuses partitions that none of the lanes has.
func (l *Log) Check(ctx context.Context) error {
	have := 0
	for _, lane := range l.Lanes {
		leaders, err := wire.LeadersOf(ctx, l.Topics.Addr, l.Topics.Transport, l.Names.Events(lane))
		if err != nil {
			return err
		}
		have = max(have, len(leaders))
	}
	for _, p := range l.Partitions {
		if p < 0 || p >= have {
			return fmt.Errorf("there is no partition %d: choose from 0 to %d", p, have-1)
		}
	}
	return nil
}

// ranges are those of the log, of topics that role status reads and of others.
func (l *Log) ranges(ctx context.Context, others func(topology.Lane) []topology.Topic) (all []scan.Range, err error) {
	for _, lane := range l.Lanes {
		for _, topic := range append(l.Names.Reads(topology.RoleStatus, lane), others(lane)...) {
			some, err := l.Topics.Between(ctx, topic, l.Since, l.Until)
			if err != nil {
				return nil, err
			}
			all = append(all, slices.DeleteFunc(some, func(r scan.Range) bool {
				return topic != l.Names.DeadLetters(lane) && !l.has(lane, r.Partition) // which have other partitions
			})...)
		}
	}
	return all, nil
}

func (l *Log) jobs(lane topology.Lane) []topology.Topic { return []topology.Topic{l.Names.Jobs(lane)} }

// each reads ranges and passes on what their records say of events, one at a time.
func (l *Log) each(ctx context.Context, ranges []scan.Range, progress *scan.Progress,
	take func(*topology.Record, *topology.State)) error {
	var mu sync.Mutex
	return l.Topics.Scan(ctx, ranges, progress, func(records []topology.Record) error {
		states := make([]topology.State, len(records))
		for i := range records {
			states[i] = status.StateOf(l.Names, &records[i])
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range states {
			if states[i].EventID != "" {
				take(&records[i], &states[i])
			}
		}
		return nil
	})
}
