package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

const (
	// lane is the one that is measured; the other is its twin.
	lane = topology.Realtime
	// partitions of each topic.
	partitions = 12
	// patience is how long what is waited for may stand still.
	patience = 2 * time.Minute
)

// bench is the measurement of one figure.
type bench struct {
	ctx       context.Context
	id        string
	binary    string
	dir       string // for files, deleted in the end
	broker    producer.Connection
	transport *kafka.Transport
	kafka     *kafka.Client
	redis     redis.UniversalClient
	servers   map[string]int // processes whose CPU time is shown
	systems   []*system
}

// connect makes a bench of the servers that the environment names.
func connect(ctx context.Context) *bench {
	list := func(name string) []string { return strings.Split(os.Getenv(name), ",") }
	b := &bench{ctx: ctx, broker: producer.Connection{Brokers: list("MEDDELA_KAFKA_BROKERS")}}
	b.transport = b.broker.Transport()
	b.kafka = &kafka.Client{Addr: b.broker.Addr(), Transport: b.transport, Timeout: 30 * time.Second}
	b.redis = redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: list("MEDDELA_REDIS_ADDRS"), IsClusterMode: os.Getenv("MEDDELA_REDIS_MODE") == "cluster",
		MasterName: os.Getenv("MEDDELA_REDIS_MASTER_NAME"), ContextTimeoutEnabled: true,
	})
	return b
}

func newBench(ctx context.Context, binary string, servers map[string]int) (*bench, error) {
	b := connect(ctx)
	b.id, b.binary, b.servers = strings.ToLower(ulid.Make().String()), binary, servers
	dir, err := os.MkdirTemp("", "meddela-bench-")
	b.dir = dir
	return b, err
}

func (b *bench) keyPrefix() string { return "bench:" + b.id + ":" }

// close stops the processes, and deletes the topics, groups and keys that were made.
func (b *bench) close() error {
	defer b.transport.CloseIdleConnections()
	defer func() { _ = b.redis.Close() }()
	defer func() { _ = os.RemoveAll(b.dir) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), patience)
	defer cancel()
	b.ctx = ctx
	progress("deleting topics and keys")
	var errs []error
	for _, s := range b.systems {
		errs = append(errs, attempt(func() { s.stop() }), attempt(s.deleteGroups), attempt(s.deleteTopics))
	}
	progress("")
	if err := errors.Join(append(errs, attempt(func() { b.deleteKeys(b.keyPrefix()) }))...); err != nil {
		return fmt.Errorf("left behind on the servers, under bench.%s and %s: %w", b.id, b.keyPrefix(), err)
	}
	return nil
}

// deleteKeys unlinks every key with a prefix, on every node, and waits until their memory is free, so that the freeing
// is not measured with what follows.
func (b *bench) deleteKeys(prefix string) {
	remove := func(ctx context.Context, node *redis.Client) error {
		if err := unlink(ctx, node, prefix); err != nil {
			return err
		}
		for {
			info, err := node.Info(ctx, "memory").Result()
			if err != nil || infoNumber(info, "lazyfree_pending_objects") == 0 {
				return err
			}
			if err := sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	switch client := b.redis.(type) {
	case *redis.ClusterClient:
		check(client.ForEachMaster(b.ctx, remove))
	case *redis.Client:
		check(remove(b.ctx, client))
	}
}

func unlink(ctx context.Context, node *redis.Client, prefix string) error {
	keys := node.Scan(ctx, 0, prefix+"*", 2000).Iterator()
	pipe := node.Pipeline()
	for keys.Next(ctx) { // one by one: on a cluster they are of many slots
		pipe.Unlink(ctx, keys.Val())
		if pipe.Len() == 2000 {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	_, err := pipe.Exec(ctx)
	return errors.Join(keys.Err(), err)
}

// infoNumber is a number out of the INFO of a Redis; 0 when it is not there.
func infoNumber(info, name string) int {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

// sleep waits, or returns ctx's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bench) publisher() *producer.Publisher {
	return &producer.Publisher{Addr: b.broker.Addr(), Transport: b.transport, Log: zerolog.Nop()}
}

// fill writes n records evenly over a topic's partitions. make is called for each of them, by several goroutines; at is
// the record's number within its partition.
func (b *bench) fill(topic topology.Topic, n int, make func(partition, at int) topology.Record) {
	const atOnce = 400
	progress("writing %d records to %s", n, topic)
	to := b.publisher()
	all, ctx := errgroup.WithContext(b.ctx)
	all.SetLimit(4)
	for p := range partitions {
		share := n / partitions
		if p < n%partitions {
			share++
		}
		all.Go(func() error {
			var batch []topology.Record
			for i := range share {
				batch = append(batch, make(p, i))
				if len(batch) < atOnce && i < share-1 {
					continue
				}
				if _, err := to.Publish(ctx, topic, p, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
			return nil
		})
	}
	check(all.Wait())
}

// loop is the loop of a role with its own defaults and another handler. The caller closes the transport's connections.
func (b *bench) loop(
	names topology.Topics, role topology.Role, topics []topology.Topic, handler consumer.Handler, transport *kafka.Transport,
) *consumer.Loop {
	return consumer.New(consumer.Config{
		Role: role, Lane: lane, Names: names, Topics: topics, Handler: handler,
		Publisher: &producer.Publisher{Addr: b.broker.Addr(), Transport: transport, Log: zerolog.Nop()},
		Brokers:   b.broker.Brokers, Dialer: b.broker.Dialer(), Transport: transport, Log: zerolog.Nop(),
	})
}
