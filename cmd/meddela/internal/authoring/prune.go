package authoring

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// MinPruneAge is far longer than a role may go on matching by an old catalogue.
const MinPruneAge = time.Hour

// Idle is a version that matches no events any more.
type Idle struct {
	Ref   topology.TemplateRef `json:"version"`
	Since time.Time            `json:"not_live_since"` // when another was published, or its template was retired
}

// PlanPrune lists the versions that have matched no events for so long. The one that keeps
// its template retired comes after all others of its name. Jobs may still need them.
func PlanPrune(live *catalogue.Catalogue, age time.Duration, now time.Time) []Idle {
	var idle []Idle
	var later *topology.TemplateRecord // of the same name, published later
	for entry := range live.All() {
		record := entry.Record()
		since, superseded := record.PublishedAt, later != nil && later.Name == record.Name
		if superseded {
			since = later.PublishedAt
		}
		if (superseded || record.Retired) && now.Sub(since) > age {
			idle = append(idle, Idle{entry.Ref(), since})
		}
		later = record
	}
	slices.Reverse(idle)
	return idle
}

// Needed is an idle version that must stay.
type Needed struct {
	Idle
	Jobs int64 `json:"jobs"` // that refer to it; 0 where it keeps its template retired
}

// Sift parts idle versions that nothing needs from those that are referenced, and those without which an
// older version would be live again.
func Sift(live *catalogue.Catalogue, idle []Idle,
	references map[topology.TemplateRef]int64) (unneeded []Idle, needed []Needed) {
	versions := make(map[string]int)
	for entry := range live.All() {
		versions[entry.Record().Name]++
	}
	unneeded, needed = []Idle{}, []Needed{}
	for _, i := range idle {
		name, _ := i.Ref.Split()
		latest, _ := live.Latest(name)
		if jobs := references[i.Ref]; jobs > 0 || latest.Ref() == i.Ref && versions[name] > 1 {
			needed = append(needed, Needed{i, jobs})
			continue
		}
		versions[name]--
		unneeded = append(unneeded, i)
	}
	return unneeded, needed
}

// Prune takes versions away for ever, in the order given. Doing it again where it
// was cut short is safe.
func Prune(ctx context.Context, to Writer, topic topology.Topic, unneeded []Idle) error {
	records := make([]topology.Record, len(unneeded))
	for i := range unneeded {
		records[i] = topology.Record{Topic: topic, Key: []byte(unneeded[i].Ref)}
	}
	refused, err := to.Publish(ctx, 0, records)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("the topic does not take %d of %d tombstones", len(refused), len(records))
	}
	return err
}

// References counts the jobs that are still to be done, or may be redriven, by the
// version that each is to be rendered with: those of both lanes that wait in the
// jobs and delay topics, beyond the offsets that their groups have committed, and
// all among the dead letters.
//
// The offsets are taken before the topics' ends are, so that a job that moves from
// one topic to another meanwhile is found in one of them at least. The error is of
// the kafka package, of the network or a *topology.NoTopicError.
func References(ctx context.Context, topics *scan.Topics, names topology.Topics,
	progress *scan.Progress) (map[topology.TemplateRef]int64, error) {
	queues, err := queuesOf(ctx, topics, names)
	if err != nil {
		return nil, err
	}
	var ranges []scan.Range
	for topic, q := range queues {
		kept, err := topics.Ranges(ctx, topic, time.Time{})
		if err != nil {
			return nil, err
		}
		for _, r := range kept {
			r.From = max(r.From, q.start(r.Partition))
			if r.Size() > 0 {
				ranges = append(ranges, r)
			}
		}
	}
	var mu sync.Mutex
	references := make(map[topology.TemplateRef]int64)
	err = topics.Scan(ctx, ranges, progress, func(records []topology.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range records {
			r := &records[i]
			ref := gjson.GetBytes(r.Value, "template")
			if ref.Type == gjson.String && queues[r.Topic].waits(r) {
				references[topology.TemplateRef(ref.Str)]++
			}
		}
		return nil
	})
	return references, err
}

// queue is how far the jobs of a topic are done, by channel, which is empty for all, and
// partition. Without any, all that the topic has waits.
type queue map[topology.Channel]map[int]int64

func queuesOf(ctx context.Context, topics *scan.Topics, names topology.Topics) (map[topology.Topic]queue, error) {
	gauge := lag.Gauge{
		Addr: topics.Addr, Transport: topics.Transport, Names: names, Lanes: topology.Lanes(),
		Roles: []topology.Role{topology.RoleDeliver, topology.RoleDelay}, Channels: topology.Channels(),
	}
	report, err := gauge.Measure(ctx)
	if err != nil {
		return nil, err
	}
	queues := make(map[topology.Topic]queue)
	for _, lane := range gauge.Lanes {
		queues[names.DeadLetters(lane)] = nil
	}
	for i := range report.Groups {
		g := &report.Groups[i]
		if g.Err != nil {
			return nil, g.Err
		}
		for _, topic := range names.Reads(g.Role, g.Lane) {
			if queues[topic] == nil {
				queues[topic] = make(queue)
			}
			queues[topic][g.Channel] = make(map[int]int64)
		}
		for _, p := range g.Partitions {
			queues[p.Topic][g.Channel][p.ID] = p.Committed
		}
	}
	return queues, nil
}

// start is the first offset of a partition at which something may wait.
func (q queue) start(partition int) int64 {
	if len(q) == 0 {
		return 0
	}
	first := int64(math.MaxInt64)
	for _, done := range q {
		first = min(first, done[partition])
	}
	return first
}

// waits reports whether the group of a job's channel has not done it yet.
func (q queue) waits(job *topology.Record) bool {
	done, byChannel := q[topology.Channel(gjson.GetBytes(job.Value, "channel").Str)]
	return !byChannel || job.Offset >= done[job.Partition]
}
