package scan

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// NoPartitionError says that a topic has no such partition.
type NoPartitionError struct {
	Topic      topology.Topic
	Partition  int
	Partitions int // that it has, from 0 on
}

func (e *NoPartitionError) Error() string {
	return fmt.Sprintf("%s has no partition %d: it has 0 to %d", e.Topic, e.Partition, e.Partitions-1)
}

// NotKeptError says that an offset is outside of what its partition holds.
type NotKeptError struct {
	Kept   Range // may be empty
	Offset int64
}

func (e *NotKeptError) Error() string {
	where := fmt.Sprintf("%s/%d", e.Kept.Topic, e.Kept.Partition)
	switch k := e.Kept; {
	case k.Size() == 0:
		return fmt.Sprintf("offset %d of %s is not there: the partition holds no records, the next one written gets offset %d", e.Offset, where, k.To)
	case e.Offset >= k.To:
		return fmt.Sprintf("offset %d of %s is not there yet: the partition holds %d to %d", e.Offset, where, k.From, k.To-1)
	default:
		return fmt.Sprintf("offset %d of %s is not kept any more: the partition holds %d to %d", e.Offset, where, k.From,
			k.To-1)
	}
}

// NoRecordError says that there is nothing to read at an offset which its
// partition has passed.
type NoRecordError struct {
	Topic     topology.Topic
	Partition int
	Offset    int64
}

func (e *NoRecordError) Error() string {
	return fmt.Sprintf("there is no record at offset %d of %s/%d: it was compacted away, or belongs to an aborted transaction, or is a transaction's marker", e.Offset, e.Topic, e.Partition)
}

var (
	errNoAnswer = errors.New("the broker's answer has none")
	errNothing  = errors.New("the broker brings nothing, though there are records")
)

// lasting reports whether an error will be the same however often one tries.
func lasting(err error) bool {
	var noTopic *topology.NoTopicError
	var noPartition *NoPartitionError
	if errors.As(err, &noTopic) || errors.As(err, &noPartition) {
		return true
	}
	var code kafka.Error
	if !errors.As(err, &code) {
		return false
	}
	switch code {
	case kafka.InvalidTopic, kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.UnsupportedVersion, kafka.UnsupportedSASLMechanism, kafka.SASLAuthenticationFailed,
		kafka.SecurityDisabled, kafka.PolicyViolation:
		return true
	}
	return false
}
