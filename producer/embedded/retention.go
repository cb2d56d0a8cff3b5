package embedded

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// retention forgets the oldest records of each partition, so that a broker
// that runs for long does not fill the memory, and not before they have been
// read if that can be: kfake's own looks at sizes only, and a burst that comes
// faster than it is handled would lose its beginning.
type retention struct {
	cluster *kfake.Cluster
	retain  int64
	backlog int64

	mu     sync.Mutex
	topics map[string]struct{} // all that were created
	groups map[string]struct{} // all that were joined

	stop    context.CancelFunc
	running sync.WaitGroup
}

// retentionInterval is short because records may come in by 100 MB a second.
const retentionInterval = 250 * time.Millisecond

func startRetention(cluster *kfake.Cluster, retain, backlog int64) *retention {
	ctx, stop := context.WithCancel(context.Background())
	r := &retention{
		cluster: cluster, retain: retain, backlog: backlog, stop: stop,
		topics: make(map[string]struct{}), groups: make(map[string]struct{}),
	}
	// kfake does not list what it has, but lets requests be watched.
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.CreateTopics, kmsg.JoinGroup}, Count: -1,
		Observe: true, When: r.watch,
	})
	r.running.Go(func() { r.run(ctx) })
	return r
}

func (r *retention) close() {
	r.stop()
	r.running.Wait()
}

// watch remembers names in requests. It is called by the cluster, which waits
// for it.
func (r *retention) watch(request kmsg.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch request := request.(type) {
	case *kmsg.CreateTopicsRequest:
		for _, t := range request.Topics {
			r.topics[t.Topic] = struct{}{}
		}
	case *kmsg.JoinGroupRequest:
		r.groups[request.Group] = struct{}{}
	}
	return false
}

// names copies the names in a set. The lock must not be held while the
// cluster is asked something, because watch needs it to go on.
func (r *retention) names(of map[string]struct{}) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(of))
}

func (r *retention) forget(of map[string]struct{}, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(of, name)
}

func (r *retention) run(ctx context.Context) {
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.pass()
		}
	}
}

// pass looks at every partition once.
func (r *retention) pass() {
	positions := sync.OnceValue(r.positions)
	for _, name := range r.names(r.topics) {
		topic := r.cluster.TopicInfo(name)
		if topic == nil {
			r.forget(r.topics, name)
			continue
		}
		if limitsItself(topic) {
			continue
		}
		for _, p := range r.cluster.PartitionInfos(name) {
			if p.NumBytes <= r.retain {
				continue
			}
			read, ok := positions()[partition{name, p.Partition}]
			if !ok {
				read = p.HighWatermark
			}
			if upTo := r.expendable(p, read); upTo > p.LogStartOffset {
				// It fails when the topic was deleted meanwhile.
				_ = r.cluster.DeleteRecords(name, p.Partition, upTo)
			}
		}
	}
}

// limitsItself reports whether a topic's own settings say what is kept.
func limitsItself(topic *kfake.TopicInfo) bool {
	if policy := topic.Configs["cleanup.policy"]; policy != nil && strings.Contains(*policy, "compact") {
		return true
	}
	return topic.Configs["retention.bytes"] != nil
}

// expendable is the offset up to which a partition's records can be
// forgotten, if all groups have read as far as read.
func (r *retention) expendable(p *kfake.PartitionInfo, read int64) int64 {
	return max(min(beyond(p, r.retain), read), beyond(p, r.backlog))
}

// beyond estimates the offset behind which a partition has so many bytes,
// taking its records to be of one size.
func beyond(p *kfake.PartitionInfo, bytes int64) int64 {
	if p.NumBytes <= bytes {
		return p.LogStartOffset
	}
	excess := float64(p.NumBytes-bytes) / float64(p.NumBytes)
	return p.LogStartOffset + int64(excess*float64(p.HighWatermark-p.LogStartOffset))
}

type partition struct {
	topic  string
	number int32
}

// positions tells how far each partition was read by the slowest group that
// has a member for it.
func (r *retention) positions() map[partition]int64 {
	positions := make(map[partition]int64)
	for _, name := range r.names(r.groups) {
		group := r.cluster.GroupInfo(name)
		if group == nil {
			r.forget(r.groups, name)
			continue
		}
		for _, member := range group.Members {
			for topic, numbers := range member.Assignment {
				for _, number := range numbers {
					p, committed := partition{topic, number}, group.Commits[topic][number].Offset
					if slowest, ok := positions[p]; !ok || committed < slowest {
						positions[p] = committed
					}
				}
			}
		}
	}
	return positions
}
