package embedded

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/topology/retry"
)

// retention forgets the oldest records of each partition, so that a broker that runs for long does not fill the memory,
// and not before they have been read if that can be: by kfake's own, which looks at sizes only, a burst that comes
// faster than it is handled would lose its beginning.
type retention struct {
	cluster *kfake.Cluster
	retain  int64
	backlog int64

	topics sync.Map // names of all that were created
	groups sync.Map // names of all that were joined
}

func newRetention(cluster *kfake.Cluster, retain, backlog int64) *retention {
	r := &retention{cluster: cluster, retain: retain, backlog: max(retain, backlog)}
	// kfake does not list what it has, but lets requests be watched.
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.CreateTopics, kmsg.JoinGroup}, Count: -1, Observe: true,
		When: func(request kmsg.Request) bool {
			switch request := request.(type) {
			case *kmsg.CreateTopicsRequest:
				for _, t := range request.Topics {
					r.topics.Store(t.Topic, nil)
				}
			case *kmsg.JoinGroupRequest:
				r.groups.Store(request.Group, nil)
			}
			return false
		},
	})
	return r
}

func (r *retention) run(ctx context.Context) {
	const interval = 250 * time.Millisecond // records may come in by 100 MB a second
	for retry.Sleep(ctx, interval) {
		r.pass()
	}
}

// pass looks at every partition once.
func (r *retention) pass() {
	positions := sync.OnceValue(r.positions)
	for key := range r.topics.Range {
		name := key.(string)
		topic := r.cluster.TopicInfo(name)
		if topic == nil {
			r.topics.Delete(key)
			continue
		}
		policy, bytes := topic.Configs["cleanup.policy"], topic.Configs["retention.bytes"]
		if bytes != nil || policy != nil && strings.Contains(*policy, "compact") {
			continue // its own settings say what is kept
		}
		for _, p := range r.cluster.PartitionInfos(name) {
			if p.NumBytes <= r.retain {
				continue
			}
			read, ok := positions()[partition{name, p.Partition}]
			if !ok {
				read = p.HighWatermark
			}
			upTo := max(min(beyond(p, r.retain), read), beyond(p, r.backlog))
			if upTo > p.LogStartOffset {
				_ = r.cluster.DeleteRecords(name, p.Partition, upTo) // fails if the topic was deleted meanwhile
			}
		}
	}
}

// beyond estimates the offset behind which a partition has so many bytes, taking its records to be of one size.
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

// positions are how far each partition was read by the slowest group that has a member for it.
func (r *retention) positions() map[partition]int64 {
	positions := make(map[partition]int64)
	for key := range r.groups.Range {
		group := r.cluster.GroupInfo(key.(string))
		if group == nil {
			r.groups.Delete(key)
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
