package suppress

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// Versions without the topic had each suppression in a STRING of its own, and the
// pepper's fingerprint in another.
func (c *Copy) oldPrefix() string { return c.Keys.Prefix + "suppressed:" }
func (c *Copy) oldPepper() string { return c.Keys.Prefix + "suppression-pepper" }

// oldTaken is there when the topic has what they had.
func (c *Copy) oldTaken() string { return c.Keys.Prefix + "suppressions-restored" }

// hasOld reports whether Redis has suppressions of such a version that the topic has not.
func (c *Copy) hasOld(ctx context.Context) (bool, error) {
	if n, err := c.Client.Exists(ctx, c.oldPepper()).Result(); err != nil || n == 0 {
		return false, err
	}
	n, err := c.Client.Exists(ctx, c.oldTaken()).Result()
	return n == 0, err
}

// Restore writes to the topic what only Redis has: the copy of a topic that was lost,
// and what versions without the topic had there. It returns how many suppressions it
// has written. The copy must not be run meanwhile; nobody sends before it has ended.
// What the topic has of the same address and cause is replaced. Its user in Redis needs
// GET, SET and SCAN besides.
func (l *List) Restore(ctx context.Context) (restored int, err error) {
	if l.Hasher == nil {
		return 0, ErrNoPepper
	}
	old, err := l.hasOld(ctx)
	if err != nil {
		return 0, err
	}
	if old {
		if pepper, err := l.Client.Get(ctx, l.oldPepper()).Result(); err != nil || pepper != string(l.Hasher.fingerprint) {
			return 0, orPepper(err)
		}
	}
	topic, end, err := l.beginAgain(ctx)
	if err != nil {
		return 0, err
	}
	publish := func(all []topology.Suppression) error {
		records := make([]topology.Record, len(all))
		for i := range all {
			records[i] = l.record(&all[i])
		}
		restored += len(all)
		if len(records) == 0 {
			return nil
		}
		return l.Publish(ctx, records)
	}
	if old {
		if err := l.walkOld(ctx, publish); err != nil {
			return restored, err
		}
	}
	lost, err := l.lostBuckets(ctx, topic, end)
	if err == nil && len(lost) > 0 {
		err = l.walk(ctx, func(bucket int, all []topology.Suppression) error {
			if !lost[bucket] {
				return nil
			}
			return publish(all)
		})
	}
	if err != nil {
		return restored, err
	}
	for bucket := range lost {
		if err := l.Client.Unlink(ctx, l.Keys.Suppressions(bucket)).Err(); err != nil {
			return restored, err
		}
	}
	if old {
		err = l.Client.Set(ctx, l.oldTaken(), "1", 0).Err()
	}
	return restored, err
}

func orPepper(err error) error {
	if err == nil {
		err = ErrPepper
	}
	return err
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

// walkOld calls f with what older versions have left.
func (l *List) walkOld(ctx context.Context, f func([]topology.Suppression) error) error {
	cluster, ok := l.Client.(*redis.ClusterClient)
	if !ok {
		return l.walkOldAt(ctx, l.Client, f)
	}
	var mu sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return l.walkOldAt(ctx, node, func(all []topology.Suppression) error {
			mu.Lock()
			defer mu.Unlock()
			return f(all)
		})
	})
}

func (l *List) walkOldAt(ctx context.Context, node redis.Cmdable, f func([]topology.Suppression) error) error {
	prefix := l.oldPrefix()
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(prefix) + "*"
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return err
		}
		pipe := node.Pipeline()
		values := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			values[i] = pipe.Get(ctx, key)
		}
		_, _ = pipe.Exec(ctx) // each keeps its own error
		var all []topology.Suppression
		for i, key := range keys {
			if err := values[i].Err(); err != nil && !errors.Is(err, redis.Nil) { // nil has ended meanwhile
				return err
			}
			all = append(all, parseLines(strings.TrimPrefix(key, prefix), values[i].Val())...)
		}
		if err := f(all); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
