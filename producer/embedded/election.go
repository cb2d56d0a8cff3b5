package embedded

import (
	"net"
	"strconv"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// MoveLeaders elects another leader of each partition, at random among the
// nodes; on one node it is the same in a new epoch. Requests to the old leader
// are refused.
func (b *Broker) MoveLeaders() { b.whileOpen(b.cluster.ShufflePartitionLeaders) }

// MoveCoordinators gives each group another coordinator, at random among the
// nodes.
func (b *Broker) MoveCoordinators() { b.whileOpen(b.cluster.RehashCoordinators) }

// LoseLeaders leaves clients that look for the leader of a partition without
// one, as during an election, until heal is called. Those that know where the
// leader was still reach it.
func (b *Broker) LoseLeaders() (heal func()) {
	var healed atomic.Bool
	b.cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if healed.Load() {
			b.cluster.DropControl()
			return nil, nil, false
		}
		b.cluster.KeepControl()
		return b.leaderless(request.(*kmsg.MetadataRequest)), nil, true
	})
	return func() { healed.Store(true) }
}

// leaderless answers a request for metadata.
func (b *Broker) leaderless(request *kmsg.MetadataRequest) kmsg.Response {
	response := request.ResponseKind().(*kmsg.MetadataResponse)
	for node, g := range b.gates {
		broker := kmsg.NewMetadataResponseBroker()
		host, port, _ := net.SplitHostPort(g.Addr().String())
		number, _ := strconv.Atoi(port)
		broker.NodeID, broker.Host, broker.Port = int32(node), host, int32(number)
		response.Brokers = append(response.Brokers, broker)
	}
	response.ControllerID = int32(len(b.gates) - 1)
	for _, name := range b.askedAbout(request) {
		response.Topics = append(response.Topics, b.leaderlessTopic(name))
	}
	return response
}

// askedAbout are the topics that a request names, or else all.
func (b *Broker) askedAbout(request *kmsg.MetadataRequest) []string {
	if request.Topics == nil {
		return b.retention.names(b.retention.topics)
	}
	var names []string
	for _, t := range request.Topics {
		if t.Topic != nil {
			names = append(names, *t.Topic)
		}
	}
	return names
}

func (b *Broker) leaderlessTopic(name string) kmsg.MetadataResponseTopic {
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = &name
	info := b.cluster.TopicInfo(name)
	if info == nil {
		topic.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return topic
	}
	topic.TopicID = info.TopicID
	for _, p := range b.cluster.PartitionInfos(name) {
		partition := kmsg.NewMetadataResponseTopicPartition()
		partition.Partition, partition.Leader = p.Partition, -1
		partition.ErrorCode = kerr.LeaderNotAvailable.Code
		topic.Partitions = append(topic.Partitions, partition)
	}
	return topic
}
