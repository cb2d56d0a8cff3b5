package refold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Cause is how Redis and the topics compare about an event.
type Cause string

const (
	Agrees    Cause = "agrees"    // Redis has what the topics say
	Overdue   Cause = "overdue"   // so too, and it waits for longer than it should
	Expired   Cause = "expired"   // Redis has forgotten it, as it should by now
	Retained  Cause = "retained"  // Redis knows what the topics do not keep any more
	Missing   Cause = "missing"   // Redis has nothing of it
	Older     Cause = "older"     // Redis lacks the latest word
	Newer     Cause = "newer"     // Redis has a later word than the topics
	Unknown   Cause = "unknown"   // the topics have nothing of it
	Different Cause = "different" // Redis has other content
	Unlogged  Cause = "unlogged"  // it has a job of which the delivery log has no entry
	suspect   Cause = ""          // not known yet
)

// Causes lists every cause.
var Causes = []Cause{Agrees, Overdue, Expired, Retained, Missing, Older, Newer, Unknown, Different, Unlogged}

// Differs reports whether Redis is not as it should be.
func (c Cause) Differs() bool { return slices.Contains(Causes[4:], c) }

// Report is what a verification found.
type Report struct {
	Records  int64           `json:"records"` // that were read, some of them more than once
	Lost     int64           `json:"lost"`    // of them: removed before they were read, or unreadable
	Behind   int64           `json:"behind"`  // that role status has not read yet, and are not compared
	Passes   int             `json:"passes"`
	Events   int64           `json:"events"`
	Differ   int64           `json:"differ"`
	Causes   map[Cause]int64 `json:"causes"`
	Examples []Example       `json:"examples"` // of each cause that is worth a look
}

// Example is one event.
type Example struct {
	ID     topology.EventID `json:"event_id"`
	Cause  Cause            `json:"cause"`
	Record topology.Source  `json:"record,omitempty"` // that has the latest word
	Redis  *topology.State  `json:"redis,omitempty"`
	Log    *topology.State  `json:"log,omitempty"`
	Error  string           `json:"error,omitempty"` // why what Redis has cannot be understood
}

// Verifier holds Redis against the topics, while all roles are at work.
type Verifier struct {
	Log
	Reader   status.Reader
	TTL      time.Duration
	Wait     time.Duration // how long role status may take to read what there is at the start
	Overdue  time.Duration // for how long a status that is not final may stay as it is
	Memory   int64         // bytes; more events than they have room for take several passes
	Examples int           // of each cause
	Progress *scan.Progress
	// Mend, if set, is given what Redis holds of an event that differs, and all that the topics
	// say of it, which is nothing where the rank is empty.
	Mend func(ctx context.Context, cause Cause, holds, says *topology.State) error

	report Report
	read   map[place]int64    // up to where role status has read
	kept   map[bool]time.Time // since when all is kept: see unlessGone
}

// EventBytes is about what an event takes while its records are folded.
const EventBytes = 1200

// Verify compares the events whose ids are given, or else all of the log.
func (v *Verifier) Verify(ctx context.Context, ids []topology.EventID) (*Report, error) {
	v.report = Report{Causes: make(map[Cause]int64), Examples: []Example{}}
	v.kept = make(map[bool]time.Time)
	err := v.awaitStatus(ctx)
	if err == nil && len(ids) > 0 {
		err = v.exact(ctx, ids)
	}
	seed, most := maphash.MakeSeed(), max(v.Memory/EventBytes, 100)
	for first := uint64(0); err == nil && len(ids) == 0; { // events by their hashes, as many as fit
		last := uint64(math.MaxUint64)
		known, mine := make(folds), func(id topology.EventID) bool {
			h := maphash.String(seed, string(id))
			return first <= h && h <= last
		}
		err = v.fold(ctx, func(r *topology.Record, s *topology.State) {
			if !mine(s.EventID) {
				return
			}
			known.add(r, s)
			for int64(len(known)) > most {
				last -= (last - first) / 2
				maps.DeleteFunc(known, func(id topology.EventID, _ *fold) bool { return !mine(id) })
			}
		})
		if err == nil {
			err = v.compare(ctx, known, mine, int(most))
		}
		v.report.Passes++
		if first = last + 1; first == 0 {
			break
		}
	}
	slices.SortFunc(v.report.Examples, func(a, b Example) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.ID, b.ID))
	})
	v.report.Records, v.report.Lost = v.Progress.Done.Load(), v.Progress.Lost.Load()
	return &v.report, err
}

// awaitStatus waits until role status has read what there is now.
func (v *Verifier) awaitStatus(ctx context.Context) error {
	gauge := lag.Gauge{Addr: v.Topics.Addr, Transport: v.Topics.Transport, Names: v.Names, Lanes: topology.Lanes(),
		Roles: []topology.Role{topology.RoleStatus}}
	ends, until := make(map[place]int64), time.Now().Add(v.Wait)
	for {
		measured, err := gauge.Measure(ctx)
		if err != nil {
			return err
		}
		v.read, v.report.Behind = make(map[place]int64), 0
		for _, g := range measured.Groups {
			err = cmp.Or(err, g.Err)
			for _, p := range g.Partitions {
				at := place{p.Topic, p.ID}
				if _, known := ends[at]; !known {
					ends[at] = p.End
				}
				if v.read[at] = min(ends[at], p.End-p.Lag); v.has(g.Lane, p.ID) {
					v.report.Behind += ends[at] - v.read[at]
				}
			}
		}
		if err != nil || v.report.Behind == 0 || time.Now().After(until) || !retry.Sleep(ctx, 200*time.Millisecond) {
			return cmp.Or(err, context.Cause(ctx))
		}
	}
}

// fold reads what role status has read, and the jobs.
func (v *Verifier) fold(ctx context.Context, take func(*topology.Record, *topology.State)) error {
	ranges, err := v.ranges(ctx, v.jobs)
	for i := range ranges {
		if read, ok := v.read[place{ranges[i].Topic, ranges[i].Partition}]; ok {
			ranges[i].To = min(ranges[i].To, read)
		}
	}
	if err != nil {
		return err
	}
	return v.each(ctx, ranges, v.Progress, take)
}

// compare compares events with Redis, and finds what Redis has beside them.
func (v *Verifier) compare(ctx context.Context, known folds, mine func(topology.EventID) bool, most int) error {
	var suspects []topology.EventID
	for ids := range slices.Chunk(slices.Collect(maps.Keys(known)), readAtOnce) {
		answers, err := v.Reader.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if cause := v.judge(&answers[i], known[id]); cause == suspect || cause.Differs() && v.Mend != nil {
				suspects = append(suspects, id)
			} else {
				v.count(cause, &answers[i], known[id])
			}
		}
	}
	err := v.walk(ctx, func(ids []topology.EventID) error {
		ids = slices.DeleteFunc(ids, func(id topology.EventID) bool { return !mine(id) || known[id] != nil })
		answers, err := v.Reader.GetMany(ctx, ids)
		for i := range answers {
			s := &answers[i].State
			_, partition, _, placed := s.Source.Split()
			if whole := len(v.Partitions) == 0 && len(v.Lanes) > 1 && v.Since.IsZero(); whole ||
				placed && v.has(s.Lane, partition) && !s.UpdatedAt.Before(v.Since) {
				suspects = append(suspects, ids[i])
			}
		}
		return err
	})
	clear(known) // there is room for suspects
	for ids := range slices.Chunk(suspects, most/2) {
		if err == nil {
			err = v.exact(ctx, ids)
		}
	}
	return err
}

const readAtOnce = 5000

// clocks is by how much those of Redis and of this machine may differ.
const clocks = 5 * time.Second

// judge compares with what the topics have at least.
func (v *Verifier) judge(redis *status.Answer, least *fold) Cause {
	has, now, last := &redis.State, time.Now(), later(least.UpdatedAt, least.Scheduled)
	if least.Rank == "" {
		last = least.jobAt
	}
	switch {
	case redis.Err != nil || redis.Found && !has.Sound():
		return Different
	case !redis.Found && last.Add(v.TTL).Before(now.Add(clocks)):
		return Expired
	case !redis.Found:
		return Missing
	case least.Rank > has.Rank:
		return Older
	case least.job > has.Rank && now.Sub(least.jobAt) > v.Overdue:
		return Unlogged
	case *has == least.State:
		return Agrees
	}
	return suspect
}

// walk passes on the ids of all statuses that Redis has, some at a time.
func (v *Verifier) walk(ctx context.Context, do func([]topology.EventID) error) error {
	prefix := v.Reader.Keys.Event("")
	pattern := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(prefix) + "*"
	var mu sync.Mutex
	walk := func(ctx context.Context, node redis.Cmdable) error {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			keys, next, err := node.Scan(ctx, cursor, pattern, readAtOnce).Result()
			if err != nil {
				return fmt.Errorf("list the statuses: %w", err)
			}
			ids := make([]topology.EventID, len(keys))
			for i, key := range keys {
				ids[i] = topology.EventID(strings.TrimPrefix(key, prefix))
			}
			mu.Lock()
			err = do(ids)
			mu.Unlock()
			if cursor = next; err != nil {
				return err
			}
		}
		return nil
	}
	if cluster, ok := v.Reader.Client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return walk(ctx, node) })
	}
	return walk(ctx, v.Reader.Client)
}

// exact judges events by all that the topics have of them: what Redis has must be no less than what role
// status had read at the start, and no more than what there is after it was read. That is looked for from
// when the events began, as Redis knows it, and only then everywhere.
func (v *Verifier) exact(ctx context.Context, ids []topology.EventID) error {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, everywhere := range []bool{false, true} {
		answers, err := v.Reader.GetMany(ctx, ids)
		if err != nil || len(ids) == 0 {
			return err
		}
		log := &Log{Topics: v.Topics, Names: v.Names, Lanes: topology.Lanes(), Since: time.Now()}
		least, most := make(folds), make(folds)
		for i, id := range ids {
			if began := answers[i].State.PendingAt.Add(-10 * time.Minute); began.Before(log.Since) {
				log.Since = began
			}
			least[id], most[id] = &fold{State: topology.State{EventID: id}}, &fold{State: topology.State{EventID: id}}
		}
		if everywhere || log.Since.Unix() <= 0 {
			log.Since, everywhere = time.Time{}, true
		}
		ranges, err := log.ranges(ctx, v.jobs)
		if err != nil {
			return err
		}
		err = log.each(ctx, ranges, v.Progress, func(r *topology.Record, s *topology.State) {
			if most[s.EventID] == nil {
				return
			}
			most.add(r, s)
			if end, known := v.read[place{r.Topic, r.Partition}]; !known || r.Offset < end {
				least.add(r, s)
			}
		})
		if err != nil {
			return err
		}
		var again []topology.EventID
		for i, id := range ids {
			cause, err := v.decide(ctx, &answers[i], least[id], most[id])
			switch {
			case err != nil:
				return err
			case cause.Differs() && !everywhere:
				again = append(again, id)
				continue
			case v.Mend != nil && cause.Differs():
				if err := v.Mend(ctx, cause, &answers[i].State, &most[id].State); err != nil {
					return err
				}
			}
			v.count(cause, &answers[i], most[id])
		}
		ids = again
	}
	return nil
}

func (v *Verifier) decide(ctx context.Context, redis *status.Answer, least, most *fold) (Cause, error) {
	has := &redis.State
	cause := v.judge(redis, least)
	switch {
	case cause != suspect:
		return cause, nil
	case most.Rank == "":
		return v.unlessGone(ctx, has.UpdatedAt, Unknown, true)
	case has.Rank > most.Rank:
		return v.unlessGone(ctx, has.UpdatedAt, Newer, true)
	case !has.Has(&least.State):
		return Different, nil
	case !most.Has(has):
		return v.unlessGone(ctx, has.PendingAt, Different, false)
	}
	return Agrees, nil
}

// unlessGone is the cause, unless the topics, or the delivery logs alone, do not keep all that was written at a time.
func (v *Verifier) unlessGone(ctx context.Context, at time.Time, cause Cause, logs bool) (Cause, error) {
	kept, known := v.kept[logs]
	for place := range v.read {
		lane, _ := v.Names.LaneOf(place.topic)
		if known || logs && place.topic != v.Names.DeliveryLog(lane) {
			continue
		}
		some, err := v.Topics.Kept(ctx, place.topic, place.partition)
		if err == nil && some[0].From > 0 {
			first := time.Now() // where nothing is left
			err = v.Topics.Scan(ctx, some, nil, func(records []topology.Record) error {
				first = records[0].Time
				return errFound
			})
			kept = later(kept, first)
		}
		if err != nil && !errors.Is(err, errFound) {
			return cause, err
		}
	}
	if v.kept[logs] = kept; at.Before(kept) {
		cause = Retained
	}
	return cause, nil
}

var errFound = errors.New("found")

// count counts an event, and keeps an example of what is worth a look.
func (v *Verifier) count(cause Cause, redis *status.Answer, f *fold) {
	has, wait := &redis.State, v.Overdue
	if has.Reason != topology.NoReason && has.Reason != topology.ReasonScheduled {
		wait += 24 * time.Hour // it waits for that
	}
	if cause == Agrees && !has.Status.Final() && has.Reason != topology.ReasonPaused &&
		time.Since(later(has.UpdatedAt, has.Scheduled)) > wait {
		cause = Overdue
	}
	v.report.Events++
	if v.report.Causes[cause]++; cause.Differs() {
		v.report.Differ++
	}
	if v.report.Causes[cause] > int64(v.Examples) || !cause.Differs() && cause != Overdue {
		return
	}
	e := Example{ID: f.EventID, Cause: cause, Record: f.last}
	if redis.Err != nil {
		e.Error = redis.Err.Error()
	} else if redis.Found {
		e.Redis = has
	}
	if f.Rank != "" {
		e.Log = &f.State
	}
	v.report.Examples = append(v.report.Examples, e)
}
