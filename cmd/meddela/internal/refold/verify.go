package refold

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer/provision"
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
	Emptied   Cause = "emptied"   // or do not keep only if it was on a partition that is empty again
	Missing   Cause = "missing"   // Redis has nothing of it
	Older     Cause = "older"     // Redis lacks the latest word
	Newer     Cause = "newer"     // Redis has a later word than the topics
	Unknown   Cause = "unknown"   // the topics have nothing of it
	Different Cause = "different" // Redis has other content
	Unlogged  Cause = "unlogged"  // it has a job of which the delivery log has no entry
	suspect   Cause = ""          // not known yet
)

// Causes lists every cause.
var Causes = []Cause{Agrees, Overdue, Expired, Retained, Emptied, Missing, Older, Newer, Unknown, Different, Unlogged}

// Differs reports whether Redis is not as it should be.
func (c Cause) Differs() bool { return slices.Contains(Causes[5:], c) }

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
	// Mend, if set, is given what Redis holds of an event that differs, all that the topics say of it, which is
	// nothing where the rank is empty, and whether that is all that was ever written of it.
	Mend func(ctx context.Context, cause Cause, whole bool, holds, says *topology.State) error

	report Report
	began  time.Time
	read   map[place]int64 // up to where role status has read
	starts map[topology.Topic]start
}

// start is what a topic keeps, and from when on that is all that was written to it.
type start struct {
	kept  []scan.Range
	at    time.Time // as its records prove
	empty time.Time // as is proven of partitions that are empty again
}

// EventBytes is about what an event takes while its records are folded.
const EventBytes = 1200

// Verify compares the events whose ids are given, wherever they are, or else all of the log.
func (v *Verifier) Verify(ctx context.Context, ids []topology.EventID) (*Report, error) {
	v.report = Report{Causes: make(map[Cause]int64), Examples: []Example{}}
	v.began = time.Now()
	each := v.walk
	if slices.Sort(ids); len(ids) > 0 {
		v.Lanes, v.Partitions, v.Since = topology.Lanes(), nil, time.Time{}
		each = func(_ context.Context, do func([]topology.EventID) error) error { return do(slices.Clone(ids)) }
	}
	err := v.findStarts(ctx)
	if err == nil {
		err = v.awaitStatus(ctx)
	}
	seed, most := maphash.MakeSeed(), max(v.Memory/EventBytes, 100)
	for first := uint64(0); err == nil; { // events by their hashes, as many as fit
		last := uint64(math.MaxUint64)
		known, mine := make(folds), func(id topology.EventID) bool {
			_, named := slices.BinarySearch(ids, id)
			h := maphash.String(seed, string(id))
			return first <= h && h <= last && (named || len(ids) == 0)
		}
		fit := func() {
			for int64(len(known)) > most {
				last -= (last - first) / 2
				maps.DeleteFunc(known, func(id topology.EventID, _ *fold) bool { return !mine(id) })
			}
		}
		var read []scan.Range
		read, err = v.fold(ctx, func(r *topology.Record, s *topology.State) {
			if mine(s.EventID) {
				known.add(r, s)
				fit()
			}
		})
		if err == nil {
			err = each(ctx, func(ids []topology.EventID) error {
				ids = slices.DeleteFunc(ids, func(id topology.EventID) bool { return !mine(id) || known[id] != nil })
				ids, err := v.ofPart(ctx, ids)
				for _, id := range ids {
					if mine(id) {
						known.of(id)
						fit()
					}
				}
				return err
			})
		}
		if err == nil {
			err = v.compare(ctx, known, read, int(most))
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
	return new(v.report), err
}

// awaitStatus waits until role status has read what there is now.
func (v *Verifier) awaitStatus(ctx context.Context) error {
	gauge := lag.Gauge{Addr: v.Topics.Addr, Transport: v.Topics.Transport, Names: v.Names, Lanes: topology.Lanes(),
		Roles: []topology.Role{topology.RoleStatus}, Timeless: true}
	for until := time.Now().Add(v.Wait); ; {
		measured, err := gauge.Measure(ctx)
		if err != nil {
			return err
		}
		v.read, v.report.Behind = make(map[place]int64), 0
		for _, g := range measured.Groups {
			err = cmp.Or(err, g.Err)
			for _, p := range g.Partitions {
				v.read[place{p.Topic, p.ID}] = p.End - p.Lag
			}
		}
		for topic, of := range v.starts {
			lane, _ := v.Names.LaneOf(topic)
			for i, r := range of.kept {
				at := place{topic, i} // of which nothing is read where that is not known, as in an election
				if v.read[at] = min(v.read[at], r.To); v.has(lane, i) {
					v.report.Behind += r.To - max(r.From, v.read[at])
				}
			}
		}
		if err != nil || v.report.Behind == 0 || time.Now().After(until) || !retry.Sleep(ctx, 200*time.Millisecond) {
			return cmp.Or(err, context.Cause(ctx))
		}
	}
}

// fold reads what role status has read, and the jobs, and returns what that was.
func (v *Verifier) fold(ctx context.Context, take func(*topology.Record, *topology.State)) ([]scan.Range, error) {
	ranges, err := v.ranges(ctx, v.jobs)
	for i := range ranges {
		r := &ranges[i]
		if read, ok := v.read[place{r.Topic, r.Partition}]; ok {
			r.To = max(r.From, min(r.To, read))
		}
	}
	if err != nil {
		return nil, err
	}
	return ranges, v.each(ctx, ranges, v.Progress, take)
}

// ofPart are those of the ids in Redis that belong to the part of the log that is read, as far as Redis knows.
func (v *Verifier) ofPart(ctx context.Context, ids []topology.EventID) (part []topology.EventID, err error) {
	if len(v.Partitions) == 0 && len(v.Lanes) > 1 && v.Since.IsZero() {
		return ids, nil
	}
	answers, err := v.Reader.GetMany(ctx, ids)
	for i := range answers {
		s := &answers[i].State
		if _, partition, _, placed := s.Source.Split(); placed && v.has(s.Lane, partition) && !s.UpdatedAt.Before(v.Since) {
			part = append(part, ids[i])
		}
	}
	return part, err
}

// compare judges events by what was read of them, and those of which that says too little by the rest of the topics.
func (v *Verifier) compare(ctx context.Context, known folds, read []scan.Range, most int) error {
	suspects := make(map[topology.EventID]*status.Answer)
	for ids := range slices.Chunk(slices.Collect(maps.Keys(known)), readAtOnce) {
		answers, err := v.Reader.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			f, has := known[id], &answers[i].State
			cause := v.judge(&answers[i], f, nil)
			if cause == suspect && f.Rank == "" && f.job == "" {
				cause = v.lack(has, &f.State) // whatever has come of it since
			}
			if cause == suspect || cause.Differs() && v.Mend != nil {
				suspects[id] = new(answers[i])
			} else {
				v.count(cause, &answers[i], f)
				delete(known, id) // there is room for suspects
			}
		}
		if len(suspects) > most/4 {
			if err := v.settle(ctx, suspects, known, read); err != nil {
				return err
			}
			clear(suspects)
		}
	}
	return v.settle(ctx, suspects, known, read)
}

const readAtOnce = 5000

// clocks is by how much those of Redis and of this machine may differ.
const clocks = 5 * time.Second

// judge compares with what the topics have at least, and with all that they have, unless that is not known yet.
func (v *Verifier) judge(redis *status.Answer, least, most *fold) Cause {
	has, now, last := &redis.State, time.Now(), later(least.UpdatedAt, least.Scheduled)
	if least.Rank == "" {
		last = least.jobAt
	}
	switch {
	case redis.Err != nil || redis.Found && !redis.Sound():
		return Different
	case !redis.Found && last.Add(v.TTL).Before(now.Add(clocks)):
		return Expired
	case !redis.Found && least.Rank != "":
		return Missing
	case least.Rank > has.Rank:
		return Older
	case (!redis.Found || *has == least.State) && !v.unlogged(least, has):
		return Agrees
	case most == nil:
		return suspect
	case v.unlogged(most, has):
		return Unlogged
	case has.Rank <= most.Rank && !has.Has(&least.State):
		return Different
	case has.Rank <= most.Rank && most.Has(has):
		return Agrees
	}
	switch lack := v.lack(has, &most.State); {
	case lack != suspect:
		return lack
	case most.Rank == "":
		return Unknown
	case has.Rank > most.Rank:
		return Newer
	}
	return Different
}

// unlogged reports whether nothing had come of a job for too long when the verification began.
func (v *Verifier) unlogged(f *fold, has *topology.State) bool {
	return f.waits(has) && v.began.Sub(later(f.jobAt, f.Scheduled)) > v.Overdue
}

// walk passes on the ids of all statuses that Redis has, some at a time.
func (v *Verifier) walk(ctx context.Context, do func([]topology.EventID) error) error {
	prefix := v.Reader.Keys.Event("")
	pattern := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(prefix) + "*"
	var mu sync.Mutex
	return position.EachServer(ctx, v.Reader.Client, func(ctx context.Context, node *redis.Client) error {
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
	})
}

// settle judges events by all that the topics have of them: what Redis has must be no less than what role status had
// read at the start, and no more than what there is after it was read. What was read is in least.
func (v *Verifier) settle(ctx context.Context, suspects map[topology.EventID]*status.Answer, least folds,
	read []scan.Range) error {
	if len(suspects) == 0 {
		return nil
	}
	log := &Log{Topics: v.Topics, Names: v.Names, Lanes: topology.Lanes()}
	rest, err := log.ranges(ctx, v.jobs)
	if err != nil {
		return err
	}
	for i := range rest {
		for _, of := range read {
			if r := &rest[i]; of.Topic == r.Topic && of.Partition == r.Partition && v.Since.IsZero() {
				r.From = max(r.From, of.To)
			}
		}
	}
	most := make(folds)
	for id := range suspects {
		most[id] = new(*least[id])
	}
	err = log.each(ctx, rest, v.Progress, func(r *topology.Record, s *topology.State) {
		if most[s.EventID] == nil {
			return
		}
		most.add(r, s)
		if end, known := v.read[place{r.Topic, r.Partition}]; !known || r.Offset < end {
			least.add(r, s)
		}
	})
	if err == nil {
		err = v.findStarts(ctx) // only now: of what is removed until here nothing may have been read
	}
	if err != nil {
		return err
	}
	for id, redis := range suspects {
		has, says := &redis.State, &most[id].State
		cause := v.judge(redis, least[id], most[id])
		if cause.Differs() && v.Mend != nil {
			if err := v.Mend(ctx, cause, v.lack(has, says) == suspect, has, says); err != nil {
				return err
			}
		}
		v.count(cause, redis, most[id])
		delete(least, id)
	}
	return nil
}

// findStarts finds out from when on the topics of each lane that was ever used have all that was written to them: from
// their first record, as one may have been made anew, and from the first of each partition that has lost some.
func (v *Verifier) findStarts(ctx context.Context) error {
	topics, now := *v.Topics, time.Now()
	topics.FetchBytes, v.starts = 64<<10, make(map[topology.Topic]start)
	for _, lane := range topology.Lanes() {
		starts, used := make(map[topology.Topic]start), false
		for _, topic := range v.Names.Reads(topology.RoleStatus, lane) {
			kept, err := topics.All(ctx, topic)
			if err != nil {
				return err
			}
			s, heads := start{kept: kept}, slices.Clone(kept)
			firsts := slices.Repeat([]time.Time{now}, len(kept)) // now where there is none
			for i := range heads {
				heads[i].To = min(heads[i].To, heads[i].From+100)
				used = used || kept[i].To > 0
				if kept[i].Size() == 0 && kept[i].From > 0 { // where there was one
					firsts[i] = time.Time{}
					if s.empty.IsZero() {
						s.empty = v.proven(ctx, topic)
					}
				}
			}
			err = topics.Scan(ctx, heads, nil, func(records []topology.Record) error {
				if r := &records[0]; firsts[r.Partition].Equal(now) {
					firsts[r.Partition] = r.Time
				}
				return nil
			})
			if err != nil {
				return err
			}
			s.at = slices.MinFunc(firsts, time.Time.Compare)
			for i, first := range firsts {
				if kept[i].From > 0 {
					s.at = later(s.at, first)
				}
			}
			starts[topic] = s
		}
		if used {
			maps.Copy(v.starts, starts)
		}
	}
	return nil
}

// proven is from when on the retention of a topic has removed nothing, as the cluster tells it, by ten minutes less for
// clocks that differ: now, where it does not.
func (v *Verifier) proven(ctx context.Context, topic topology.Topic) time.Time {
	client := &kafka.Client{Addr: v.Topics.Addr, Transport: v.Topics.Transport, Timeout: 10 * time.Second}
	existing, _ := provision.Survey(ctx, client, []topology.Topic{topic})
	kept, _ := strconv.ParseInt(existing[topic].Config["retention.ms"], 10, 64)
	return time.UnixMilli(time.Now().UnixMilli() - max(kept-600_000, 0))
}

// lack is Retained where the topics do not keep all that was written of an event, Emptied where that is open only for
// partitions that are empty again, and else none: they keep its record, and what there was since it began on all
// partitions of its lane, and of the other unless no copy of it is there: an event's source is the least of those of
// all copies.
func (v *Verifier) lack(has, says *topology.State) (lack Cause) {
	var began time.Time
	for _, at := range []time.Time{has.PendingAt, has.PendingDeliveryAt, has.UpdatedAt, says.PendingAt, says.UpdatedAt} {
		if began.IsZero() || !at.IsZero() && at.Before(began) {
			began = at
		}
	}
	topic, partition, offset, _ := cmp.Or(has.Source, says.Source).Split()
	if of, ours := v.starts[topic]; !ours {
		topic = ""
	} else if partition >= len(of.kept) || offset < of.kept[partition].From || offset >= of.kept[partition].To {
		return Retained
	}
	if _, used := v.starts[v.Names.Events(cmp.Or(says.Lane, has.Lane))]; !used {
		return Retained
	}
	for of, s := range v.starts {
		lane, _ := v.Names.LaneOf(of)
		noCopy := v.Names.Events(lane) < topic // whose place would be the source
		noRedrive := of == v.Names.Redrive(lane) && has.Redrives == 0
		switch {
		case noCopy || noRedrive || !began.Before(later(s.at, s.empty)):
		case began.Before(s.at):
			return Retained
		default:
			lack = Emptied
		}
	}
	return lack
}

// count counts an event, and keeps an example of what is worth a look.
func (v *Verifier) count(cause Cause, redis *status.Answer, f *fold) {
	has, wait := &redis.State, v.Overdue
	if has.Reason != topology.NoReason && has.Reason != topology.ReasonScheduled {
		wait += 24 * time.Hour // it waits for that
	}
	if cause == Agrees && redis.Found && !has.Status.Final() && has.Reason != topology.ReasonPaused &&
		time.Since(later(later(has.UpdatedAt, has.Scheduled), f.due)) > wait {
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
