package failover

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// What is wrong with providers is told every so often, and counts for so long.
const every, life = 2 * time.Second, 20 * time.Second

// Tell tells in Redis what is wrong with a lane's providers until ctx ends, and takes it back then. While Redis is
// away nobody is told. What another process tells of the same provider comes again after this one's.
func Tell(ctx context.Context, client redis.UniversalClient, keys topology.Keys, lane topology.Lane,
	routes map[topology.Channel]provider.Provider) {
	tick, key := time.NewTicker(every), keys.ProviderTrouble(lane)
	defer tick.Stop()
	for told, ended := map[string]any{}, false; !ended; {
		found := make(map[string]any)
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
			for channel, p := range routes {
				if r, ok := p.(*Route); ok {
					r.troubles(lane, channel, found)
				}
			}
		}
		writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), every)
		_, _ = client.Pipelined(writing, func(pipe redis.Pipeliner) error { // none for no commands
			for name := range told {
				if found[name] == nil {
					pipe.HDel(writing, key, name)
				}
			}
			if len(found) > 0 {
				pipe.HSet(writing, key, found)
				pipe.PExpire(writing, key, life)
			}
			return nil
		})
		cancel()
		told = found
	}
}

// troubles puts what is wrong with providers into found. Of one that was asked nothing for an hour it is not known.
func (r *Route) troubles(lane topology.Lane, channel topology.Channel, found map[string]any) {
	for _, b := range r.backends {
		last, since, open := b.failure.Load(), b.since.Load(), b.breaker.State() != gobreaker.StateClosed
		if last == nil || since == 0 && !open || time.Since(last.at) > time.Hour {
			continue
		}
		t := topology.Trouble{Lane: lane, Channel: channel, Provider: b.Name(), Open: open, At: last.at.UTC(),
			Since: time.Unix(0, cmp.Or(since, last.at.UnixNano())).UTC(), ToldAt: time.Now().UTC(),
			Answer: strings.ToValidUTF8(last.Detail[:min(len(last.Detail), topology.MaxDetailBytes)], "")}
		if open {
			t.Until = time.Unix(0, b.openedAt.Load()).Add(b.Breaker.Open).UTC()
		}
		found[string(channel)+" "+t.Provider], _ = json.Marshal(t) // which always can be
	}
}

// Troubles reads what is wrong with the providers of lanes.
func Troubles(ctx context.Context, client redis.UniversalClient, keys topology.Keys, lanes []topology.Lane) (
	all []topology.Trouble, err error) {
	for _, lane := range lanes {
		hash, err := client.HGetAll(ctx, keys.ProviderTrouble(lane)).Result()
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(hash)) {
			var t topology.Trouble
			if json.Unmarshal([]byte(hash[name]), &t) == nil && time.Since(t.ToldAt) < life {
				all = append(all, t)
			}
		}
	}
	return all, nil
}
