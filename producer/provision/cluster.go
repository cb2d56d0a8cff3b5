package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Survey returns those of the topics that the cluster has.
func Survey(ctx context.Context, client *kafka.Client, topics []topology.Topic) (map[topology.Topic]Existing, error) {
	metadata, err := describe(ctx, client, topics)
	if err != nil {
		return nil, err
	}
	existing := make(map[topology.Topic]Existing)
	for _, t := range metadata {
		switch {
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
			continue
		case t.Error != nil && !passing(t.Error):
			return nil, fmt.Errorf("topic %s cannot be looked at: %w", t.Name, t.Error)
		}
		existing[topology.Topic(t.Name)] = Existing{Partitions: len(t.Partitions), Replication: leastReplicas(t.Partitions)}
	}
	return existing, readConfigs(ctx, client, existing)
}

func describe(ctx context.Context, client *kafka.Client, topics []topology.Topic) ([]kafka.Topic, error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = string(t)
	}
	response, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return nil, fmt.Errorf("the cluster's topics cannot be listed: %w", err)
	}
	return response.Topics, nil
}

func leastReplicas(partitions []kafka.Partition) int {
	if len(partitions) == 0 {
		return 0
	}
	fewer := func(a, b kafka.Partition) int { return len(a.Replicas) - len(b.Replicas) }
	return len(slices.MinFunc(partitions, fewer).Replicas)
}

// readConfigs fills in the settings of the existing topics. Those that the
// cluster keeps to itself stay nil.
func readConfigs(ctx context.Context, client *kafka.Client, existing map[topology.Topic]Existing) error {
	if len(existing) == 0 {
		return nil
	}
	request := &kafka.DescribeConfigsRequest{}
	for _, name := range slices.Sorted(maps.Keys(existing)) {
		request.Resources = append(request.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: string(name),
		})
	}
	response, err := client.DescribeConfigs(ctx, request)
	if err != nil {
		return fmt.Errorf("the topics' settings cannot be read: %w", err)
	}
	for _, r := range response.Resources {
		topic, ok := existing[topology.Topic(r.ResourceName)]
		if !ok || r.Error != nil {
			continue
		}
		topic.Config = make(map[string]string, len(r.ConfigEntries))
		for _, entry := range r.ConfigEntries {
			topic.Config[entry.ConfigName] = entry.ConfigValue
		}
		existing[topology.Topic(r.ResourceName)] = topic
	}
	return nil
}

const (
	retryInterval = 100 * time.Millisecond
	// createTimeout is how long the cluster may take over one request.
	createTimeout = 15 * time.Second
)

// Create creates the topics. One that exists by now is as good as created.
// Its error names every topic that could not be created, and why.
func Create(ctx context.Context, client *kafka.Client, specs []topology.TopicSpec) error {
	for {
		failed, err := createOnce(ctx, client, specs)
		if err != nil {
			return err
		}
		var refused, late []error
		for _, spec := range specs {
			switch err := failed[string(spec.Name)]; {
			case err == nil, errors.Is(err, kafka.TopicAlreadyExists):
			case passing(err):
				late = append(late, fmt.Errorf("topic %s is not created yet: %w", spec.Name, err))
			default:
				refused = append(refused, fmt.Errorf("topic %s cannot be created: %w", spec.Name, err))
			}
		}
		switch {
		case len(refused) > 0:
			return errors.Join(refused...)
		case len(late) == 0:
			return nil
		case !retry.Sleep(ctx, retryInterval):
			return late[0]
		}
	}
}

var quotaKeys = []string{"consumer_byte_rate", "producer_byte_rate"}

// Quotas are the limits in force of a client id, by their names in Kafka, in bytes a second.
func Quotas(ctx context.Context, client *kafka.Client, id string) (map[string]float64, error) {
	response, err := client.DescribeClientQuotas(ctx, &kafka.DescribeClientQuotasRequest{Strict: true,
		Components: []kafka.DescribeClientQuotasRequestComponent{{EntityType: "client-id", Match: id}}})
	if err == nil {
		err = response.Error
	}
	if err != nil {
		return nil, fmt.Errorf("the quota of client %s cannot be seen: %w", id, err)
	}
	quotas := make(map[string]float64)
	for _, entry := range response.Entries {
		for _, value := range entry.Values {
			quotas[value.Key] = value.Value
		}
	}
	return quotas, nil
}

// Quota has every broker limit a client id to so many bytes a second, read and written
// each, or, where that is negative, limit it no more.
func Quota(ctx context.Context, client *kafka.Client, id string, bytesPerSecond int) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	entity := kafka.AlterClientQuotaEntity{EntityType: "client-id", EntityName: id}
	entry := kafka.AlterClientQuotaEntry{Entities: []kafka.AlterClientQuotaEntity{entity}}
	for _, key := range quotaKeys {
		entry.Ops = append(entry.Ops,
			kafka.AlterClientQuotaOps{Key: key, Value: float64(max(bytesPerSecond, 0)), Remove: bytesPerSecond < 0})
	}
	request := &kafka.AlterClientQuotasRequest{Entries: []kafka.AlterClientQuotaEntry{entry}}
	response, err := client.AlterClientQuotas(ctx, request)
	for i := 0; err == nil && i < len(response.Entries); i++ {
		err = response.Entries[i].Error
	}
	if err != nil {
		return fmt.Errorf("the quota of client %s cannot be set: %w", id, err)
	}
	return nil
}

// createOnce asks once, and returns the error of each topic that was not created.
func createOnce(ctx context.Context, client *kafka.Client, specs []topology.TopicSpec) (map[string]error, error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	request := &kafka.CreateTopicsRequest{}
	for _, spec := range specs {
		topic := kafka.TopicConfig{
			Topic: string(spec.Name), NumPartitions: spec.Partitions, ReplicationFactor: spec.Replication,
		}
		for _, key := range slices.Sorted(maps.Keys(spec.Config)) {
			topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: key, ConfigValue: spec.Config[key]})
		}
		request.Topics = append(request.Topics, topic)
	}
	response, err := client.CreateTopics(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("topics cannot be created: %w", err)
	}
	return response.Errors, nil
}

// passing reports whether the cluster means by err that it is not ready yet.
func passing(err error) bool {
	var code kafka.Error
	return errors.As(err, &code) && code.Temporary()
}

// AwaitLeaders returns when every partition of the topics has a leader, so
// that it can be written to. Its error is ctx's, and says what is missing.
func AwaitLeaders(ctx context.Context, client *kafka.Client, topics []topology.Topic) error {
	if len(topics) == 0 {
		return nil
	}
	for {
		metadata, err := describe(ctx, client, topics)
		missing := len(topics)
		for _, t := range metadata {
			if t.Error == nil && len(t.Partitions) > 0 && !slices.ContainsFunc(t.Partitions, leaderless) {
				missing--
			}
		}
		if err == nil && missing == 0 {
			return nil
		}
		if !retry.Sleep(ctx, retryInterval) {
			if err != nil {
				return err
			}
			return fmt.Errorf("%d of %d topics have partitions without a leader: %w", missing, len(topics), ctx.Err())
		}
	}
}

func leaderless(p kafka.Partition) bool { return p.Error != nil || p.Leader.Host == "" }
