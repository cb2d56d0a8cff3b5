package refold

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// Rebuilder writes statuses anew, from the newest records to the oldest. As statuses are
// merged, that disturbs nobody. What is left to do is in Redis, beside what is written, so
// that the same rebuild goes on after it was killed.
type Rebuilder struct {
	Log
	Store    *status.Store
	Of       string // says of which part of the topics, where it goes on with its like
	Memory   int64  // bytes, for the events of the records that are folded and those that are written
	Progress *scan.Progress
	Rebuilt
}

// Rebuilt is what was done.
type Rebuilt struct {
	Records int64 `json:"records"`
	Lost    int64 `json:"lost"`    // of them: removed before they were read, or unreadable
	Written int64 `json:"written"` // of events, some of them more than once
	Before  int64 `json:"before"`  // records that were done when it went on
}

const (
	sliceRecords = 100_000 // that are folded at a time, at most
	writers      = 4
	workTime     = 24 * time.Hour // after which it begins again
	fieldOf      = "of"
)

// Rebuild writes the statuses of the log.
func (b *Rebuilder) Rebuild(ctx context.Context) error {
	ranges, err := b.ranges(ctx, func(topology.Lane) []topology.Topic { return nil })
	if err == nil {
		err = b.goOn(ctx, ranges)
	}
	if err != nil {
		return err
	}
	writing, writes := errgroup.WithContext(ctx)
	writing.SetLimit(1) // while the next records are read
	for left := b.Progress.Total.Load(); left > 0 && writes.Err() == nil; {
		slice, known := scan.Latest(ranges, min(sliceRecords, b.Memory/EventBytes/2)), make(folds)
		for i := range slice {
			ranges[i].To = slice[i].From
			left -= slice[i].Size()
			b.Progress.Total.Add(-slice[i].Size()) // which the scan adds
		}
		err := b.each(writes, slice, b.Progress, known.add)
		work := slices.Clone(ranges)
		writing.Go(func() error {
			if err != nil { // the slice is not read whole, and must not be noted
				return err
			}
			return b.write(writes, known, work)
		})
	}
	err = cmp.Or(writing.Wait(), ctx.Err())
	b.Records, b.Lost = b.Progress.Done.Load(), b.Progress.Lost.Load()
	if err == nil {
		_, err = b.Store.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range b.notes() {
				p.Unlink(ctx, key)
			}
			return nil
		})
	}
	return err
}

// notes are the keys of what is left to do.
func (b *Rebuilder) notes() []string { return position.Spread(b.Store.Client, b.Store.Keys.Rebuild) }

// write writes what records say, and then what is left to do.
func (b *Rebuilder) write(ctx context.Context, known folds, work []scan.Range) error {
	states := make([]topology.State, 0, len(known))
	for _, f := range known {
		states = append(states, f.State)
	}
	writing, writes := errgroup.WithContext(ctx)
	for some := range slices.Chunk(states, len(states)/writers+1) {
		writing.Go(func() error { return b.Store.Write(writes, some) })
	}
	if err := writing.Wait(); err != nil {
		return err
	}
	b.Written += int64(len(known))
	fields := []any{fieldOf, b.Of}
	for _, r := range work {
		fields = append(fields, field(r), r.To)
	}
	_, err := b.Store.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range b.notes() {
			p.HSet(ctx, key, fields...)
			p.PExpire(ctx, key, workTime)
		}
		return nil
	})
	return err
}

func field(r scan.Range) string { return fmt.Sprintf("%s/%d", r.Topic, r.Partition) }

// goOn takes from ranges what the same rebuild has done before, as every note says, but for what came since.
func (b *Rebuilder) goOn(ctx context.Context, ranges []scan.Range) error {
	left := make([]int64, len(ranges)) // up to which offset
	for _, key := range b.notes() {
		note, err := b.Store.Client.HGetAll(ctx, key).Result()
		if err != nil {
			return err
		}
		for i, r := range ranges {
			to, err := strconv.ParseInt(note[field(r)], 10, 64)
			if err != nil || note[fieldOf] != b.Of {
				to = r.To
			}
			left[i] = max(left[i], to)
		}
	}
	for i := range ranges {
		r := &ranges[i]
		b.Before += r.Size()
		r.To = max(r.From, min(r.To, left[i]))
		b.Before -= r.Size()
		b.Progress.Total.Add(r.Size())
	}
	return nil
}

var removeScript = redis.NewScript(`
local rank = redis.pcall("HGET", KEYS[1], "rank")
if type(rank) ~= "string" then rank = "" end
return rank == ARGV[1] and redis.call("UNLINK", KEYS[1]) or 0`)

// Mend has Redis hold what the topics say of an event that differs: by merging, or, where that does not do it and it
// is to be replaced, instead of what Redis holds, unless that has moved on since it was read. What the topics do not
// keep all of is not taken from Redis.
func (b *Rebuilder) Mend(replace bool) func(context.Context, Cause, bool, *topology.State, *topology.State) error {
	return func(ctx context.Context, cause Cause, whole bool, holds, says *topology.State) error {
		if cause == Unlogged {
			return nil // the topics say nothing that could be put in its place
		}
		if replace && whole && cause != Missing && cause != Older {
			key := b.Store.Keys.Event(says.EventID)
			if err := removeScript.Run(ctx, b.Store.Client, []string{key}, string(holds.Rank)).Err(); err != nil {
				return err
			}
		}
		if says.Rank == "" {
			return nil
		}
		b.Written++
		return b.Store.Write(ctx, []topology.State{*says})
	}
}
