package suppress

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// scanCount is how many keys Redis looks at before it serves others.
const scanCount = 1000

// Walk calls f with every entry, some at a time, in no order. It reads the list
// while others use it: what is added or removed meanwhile may be missed, and an
// entry may come twice. f is called by one goroutine at a time; its error ends
// the walk, and is Walk's.
func (l *List) Walk(ctx context.Context, f func([]Entry) error) error {
	var mu sync.Mutex
	one := func(entries []Entry) error {
		mu.Lock()
		defer mu.Unlock()
		return f(entries)
	}
	if cluster, ok := l.Client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return l.walk(ctx, node, one)
		})
	}
	return l.walk(ctx, l.Client, one)
}

func (l *List) walk(ctx context.Context, node redis.Cmdable, f func([]Entry) error) error {
	prefix := l.Keys.Suppressions()
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, literal(prefix)+"*", scanCount).Result()
		if err != nil {
			return err
		}
		entries, err := l.entriesAt(ctx, node, keys)
		if err == nil && len(entries) > 0 {
			err = f(entries)
		}
		if err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (l *List) entriesAt(ctx context.Context, node redis.Cmdable, keys []string) ([]Entry, error) {
	pipe := node.Pipeline()
	values := make([]*redis.SliceCmd, len(keys)) // of one key each: they are in different slots
	for i, key := range keys {
		values[i] = pipe.MGet(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(keys))
	for i, value := range values {
		channel, hash, ours := strings.Cut(strings.TrimPrefix(keys[i], l.Keys.Suppressions()), ":")
		e := l.entry(topology.Channel(channel), topology.AddressHash(hash), value.Val()[0])
		if ours && e != nil {
			entries = append(entries, *e)
		}
	}
	return entries, nil
}

// literal is a pattern of SCAN that matches the text alone.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(text)
}

// Count is how many addresses a channel does not write to for one cause.
type Count struct {
	Channel   topology.Channel `json:"channel"`
	Cause     Cause            `json:"reason"`
	Addresses int              `json:"addresses"`
	Ending    int              `json:"ending"` // of them: those that are not for good
}

// Counts walks the list and counts its entries, by channel and cause.
func (l *List) Counts(ctx context.Context) ([]Count, error) {
	counts := make(map[Count]Count) // by those that count none
	err := l.Walk(ctx, func(entries []Entry) error {
		for i := range entries {
			kind := Count{Channel: entries[i].Channel, Cause: entries[i].Cause}
			count := cmp.Or(counts[kind], kind)
			count.Addresses++
			if !entries[i].Until.IsZero() {
				count.Ending++
			}
			counts[kind] = count
		}
		return nil
	})
	return slices.SortedFunc(maps.Values(counts), func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Cause, b.Cause))
	}), err
}
