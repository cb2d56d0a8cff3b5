// Package position notes in Redis, behind what a consumer group writes there, up to
// which offsets that is written, each time before they are committed. A Redis that has
// lost something has therefore a lower position than was committed, or none: after
// FLUSHALL, an empty start, a failover to a replica that was behind, or where the
// settings name another database or prefix. What the records from there on said can
// be written again.
package position

import (
	"cmp"
	"context"
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

//go:embed note.lua
var noteSource string

var noteScript = script.New(noteSource)

const (
	// spread is on how many parts of a cluster's slots there is a key: a server that
	// has a part as a whole is looked at.
	spread, slots = 16, 16384
	// noteTime is how long Redis may take to note.
	noteTime = 5 * time.Second
)

// Positions are those of one consumer group.
type Positions struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	Group  string
	Log    zerolog.Logger
	// Mend, if set, writes again what records of one partition said. They come from
	// Topics, while the group goes on.
	Mend   func(ctx context.Context, records []topology.Record) error
	Topics *scan.Topics
	// Forget, if set, is called when it is noticed that Redis has lost something, until it has no error.
	Forget func(ctx context.Context) error
	// Servers names the processes that have the keys. Default what they say themselves.
	Servers func(ctx context.Context) (string, error)

	lostAt atomic.Int64 // Unix milliseconds
	left   atomic.Int64
}

// assignments are partitions, each with its committed offset or a negative one, by topic.
type assignments = map[string][]kafka.PartitionAssignment

// Lost is when it was last noticed that Redis had lost something, zero for never, and
// how many offsets are still to be mended.
func (p *Positions) Lost() (last time.Time, left int64) {
	if at := p.lostAt.Load(); at > 0 {
		last = time.UnixMilli(at)
	}
	return last, p.left.Load()
}

// servers names the processes that a client's keys are with.
func servers(ctx context.Context, client redis.UniversalClient) (string, error) {
	var mu sync.Mutex
	var names []string
	ask := func(ctx context.Context, node *redis.Client) error {
		info, err := node.InfoMap(ctx, "server").Result()
		mu.Lock()
		defer mu.Unlock()
		names = append(names, info["Server"]["run_id"])
		return err
	}
	err := EachServer(ctx, client, ask)
	slices.Sort(names)
	return strings.Join(names, " "), err
}

// EachServer does something with each of the masters that a client's keys are with, side by side.
func EachServer(ctx context.Context, client redis.UniversalClient,
	do func(context.Context, *redis.Client) error) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, do)
	}
	return do(ctx, client.(*redis.Client))
}

func (p *Positions) keys() []string {
	return Spread(p.Client, func(n int) string { return p.Keys.Position(p.Group, n) })
}

// Spread chooses keys, which differ by a number, so that each server of a cluster has one; of one server one is enough.
func Spread(client redis.UniversalClient, key func(n int) string) (keys []string) {
	_, cluster := client.(*redis.ClusterClient)
	found := make(map[uint16]bool)
	for n := 0; len(found) < spread && n < slots; n++ {
		key := key(n)
		if !cluster {
			return []string{key}
		}
		if part := topology.SlotOf(key) / (slots / spread); !found[part] {
			found[part], keys = true, append(keys, key)
		}
	}
	return keys
}

// Probe writes a little wherever there are positions. Its error is that Redis does
// not take it.
func (p *Positions) Probe(ctx context.Context) error {
	for _, key := range p.keys() {
		if err := p.Client.HSet(ctx, key, "at", time.Now().UnixMilli()).Err(); err != nil {
			return err
		}
	}
	return nil
}

// Missing is how many of the offsets that were committed Redis does not have.
func (p *Positions) Missing(ctx context.Context, committed assignments) (missing int64, err error) {
	g := p.generation(committed)
	behind, err := g.ask(ctx)
	for i, part := range g.parts {
		missing += part.noted - max(behind[i], min(part.noted, 0))
	}
	return missing, err
}

// Begin implements consumer.Positions.
func (p *Positions) Begin(committed assignments) (note func(map[string]map[int]int64) error, end func()) {
	g := p.generation(committed)
	g.first = 1
	ctx, cancel := context.WithCancel(context.Background())
	g.ctx = ctx
	return g.note, func() { cancel(); g.running.Wait(); p.left.Add(-g.left) }
}

// generation is partitions that came together.
type generation struct {
	*Positions
	ctx     context.Context
	keys    []string
	running sync.WaitGroup

	mu      lock
	servers string // that had the keys when positions were last noted
	first   int
	parts   []*part
	mending bool
	left    int64 // offsets still to be mended
}

// lock is held while Redis is asked. It is a channel so that simulated time goes on for who waits for it.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// part is a partition. The range is what is being mended.
type part struct {
	scan.Range
	noted   int64 // Redis has at least this position, unless it has lost it; -1 for none
	reached int64 // by the group
	lost    bool  // what is behind noted is to be mended
}

func (p *Positions) generation(committed assignments) *generation {
	g := &generation{Positions: p, keys: p.keys(), mu: make(lock, 1)}
	for topic, partitions := range committed {
		for _, a := range partitions {
			if a.Offset <= 0 {
				a.Offset = -1 // nothing is written yet
			}
			of := scan.Range{Topic: topology.Topic(topic), Partition: a.ID}
			g.parts = append(g.parts, &part{Range: of, noted: a.Offset, reached: a.Offset})
		}
	}
	return g
}

// position is up to where Redis has all.
func (p *part) position() int64 {
	switch {
	case p.lost:
		return p.noted
	case p.Size() > 0:
		return min(p.From, p.reached)
	}
	return p.reached
}

// ask has positions noted, and returns those that Redis had before it lost what came
// after; for others those that were noted.
func (g *generation) ask(ctx context.Context) (behind []int64, err error) {
	args, behind := []any{g.first}, make([]int64, len(g.parts))
	for i, p := range g.parts {
		behind[i] = p.noted
		args = append(args, string(p.Topic)+"/"+strconv.Itoa(p.Partition), p.noted, p.position())
	}
	return behind, noteScript.Run(ctx, g.Client, &script.Batch{
		N: len(g.keys), Head: args,
		Key: func(b []byte, i int) []byte { return append(b, g.keys[i]...) },
		Answer: func(_ int, answer any) {
			list, _ := answer.([]any)
			for i := range min(len(list), len(behind)) {
				if has, ok := list[i].(int64); ok && has >= -1 {
					behind[i] = min(behind[i], has)
				}
			}
		},
	})
}

func (g *generation) note(reached map[string]map[int]int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx, cancel := context.WithTimeout(g.ctx, noteTime)
	defer cancel()
	g.parts = slices.DeleteFunc(g.parts, func(p *part) bool {
		offset, moved := reached[string(p.Topic)][p.Partition]
		if offset >= 0 && offset < p.reached && moved { // the topic was made anew, or a leader lost
			g.first, p.noted = 1, min(p.noted, offset)
		}
		if moved {
			p.reached = offset
		}
		return moved && offset < 0
	})
	behind, err := g.ask(ctx)
	if err != nil {
		return err
	}
	lost, left := 0, int64(0)
	for i, p := range g.parts {
		if behind[i] < p.noted {
			lost++
		}
	}
	if lost > 0 && g.Forget != nil {
		if err := g.Forget(ctx); err != nil {
			return err
		}
	}
	g.first = 0
	others := g.otherServers(ctx) // only now: what was noted on the last ones may be with them
	if others {
		g.first = 1
	}
	for i, p := range g.parts {
		switch {
		case behind[i] < p.noted:
			p.noted, p.lost = behind[i], g.Mend != nil
		case others && p.noted >= 0:
			p.lost = true
		default:
			p.noted = p.position()
		}
		left += p.reached - p.position()
	}
	g.Positions.left.Add(left - g.left)
	g.left = left
	if lost > 0 {
		g.lostAt.Store(time.Now().UnixMilli())
		g.Log.Error().Str("group", g.Group).Int("partitions", lost).Int64("records", left).
			Msg("Redis has lost some of what was written to it, or is another one than before")
	}
	if (lost > 0 || others) && g.Mend != nil && !g.mending {
		g.mending = true
		g.running.Go(g.mendAll)
	}
	return nil
}

// otherServers reports whether keys are with other processes than before. After a
// failover one may lack what was written since its last position, though it has that.
func (g *generation) otherServers(ctx context.Context) bool {
	last, now, err := g.servers, "", error(nil)
	switch {
	case g.Mend == nil:
		return false
	case g.Servers != nil:
		now, err = g.Servers(ctx)
	default:
		now, err = servers(ctx, g.Client)
	}
	if err == nil {
		g.servers = now
	}
	return last != "" && g.servers != last
}

// mendAll mends what is lost, and what is lost meanwhile.
func (g *generation) mendAll() {
	for wait := (retry.Backoff{}); ; {
		parts, ranges, err := g.take()
		if len(parts) == 0 && err == nil {
			return
		}
		fault := g.Topics.Scan(g.ctx, ranges, nil, g.mend)
		g.mu.Lock()
		for _, p := range parts {
			p.From, p.lost = p.To, p.lost || fault != nil
		}
		g.mu.Unlock()
		if cmp.Or(err, fault) == nil {
			g.Log.Info().Str("group", g.Group).Msg("what Redis had lost is written again, as far as the topics have it")
		} else if !wait.Wait(g.ctx) {
			return
		}
	}
}

// take returns what is to be mended: up to the ends of partitions, so that what was
// under way when the loss was noticed is among it. A partition whose end is not known
// stays lost.
func (g *generation) take() (parts []*part, ranges []scan.Range, err error) {
	topics := *g.Topics
	topics.Patience = time.Second // the others are to be mended meanwhile
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mending = false
	for _, p := range slices.Clone(g.parts) { // some may become others' meanwhile
		if !p.lost {
			continue
		}
		g.mending = true
		g.mu.Unlock() // commits do not wait for brokers that do not answer
		kept, fault := topics.Kept(g.ctx, p.Topic, p.Partition)
		g.mu.Lock()
		if fault != nil {
			err = fault
			continue
		}
		p.Range, p.lost = kept[0], false
		p.From = min(max(p.From, p.noted), p.To)
		parts, ranges = append(parts, p), append(ranges, p.Range)
	}
	return parts, ranges, err
}

func (g *generation) mend(records []topology.Record) error {
	if err := g.Mend(g.ctx, records); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	last := &records[len(records)-1]
	for _, p := range g.parts {
		if p.Topic == last.Topic && p.Partition == last.Partition {
			p.From = last.Offset + 1
		}
	}
	return nil
}
