package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/test/script"
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
	fail      context.CancelCauseFunc // ends it, for an error in the background
	id        string
	binary    string
	dir       string // for files, deleted in the end
	broker    producer.Connection
	transport *kafka.Transport
	kafka     *kadm.Client
	redis     redis.UniversalClient
	servers   map[string]int // processes whose CPU time is shown
	systems   []*system
}

func newBench(ctx context.Context, binary string, servers map[string]int) (*bench, error) {
	list := func(name string) []string { return strings.Split(os.Getenv(name), ",") }
	ctx, fail := context.WithCancelCause(ctx)
	b := &bench{
		ctx: ctx, fail: fail, id: strings.ToLower(ulid.Make().String()), binary: binary, servers: servers,
		broker: producer.Connection{Brokers: list("MEDDELA_KAFKA_BROKERS")},
		redis: redis.NewUniversalClient(&redis.UniversalOptions{
			Addrs: list("MEDDELA_REDIS_ADDRS"), IsClusterMode: os.Getenv("MEDDELA_REDIS_MODE") == "cluster",
			MasterName: os.Getenv("MEDDELA_REDIS_MASTER_NAME"), ContextTimeoutEnabled: true,
		}),
	}
	b.transport = b.broker.Transport()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.broker.Brokers...))
	if err != nil {
		return nil, err
	}
	b.kafka = kadm.NewClient(client)
	b.dir, err = os.MkdirTemp("", "meddela-bench-")
	return b, err
}

func (b *bench) keyPrefix() string { return "bench:" + b.id + ":" }

// close stops the processes, and deletes the topics, groups and keys that were made.
func (b *bench) close() error {
	defer func() {
		b.fail(nil)
		b.transport.CloseIdleConnections()
		b.kafka.Close()
		_, _ = b.redis.Close(), os.RemoveAll(b.dir)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), patience)
	defer cancel()
	b.ctx = ctx
	progress("deleting topics and keys")
	var errs []error
	for _, s := range b.systems {
		errs = append(errs, script.Try(func() { s.stop() }), script.Try(s.delete))
	}
	progress("")
	if err := errors.Join(append(errs, script.Try(func() { b.deleteKeys(b.keyPrefix()) }))...); err != nil {
		return fmt.Errorf("left behind on the servers, under bench.%s and %s: %w", b.id, b.keyPrefix(), err)
	}
	return nil
}

// deleteKeys deletes every key with a prefix, on every node. DEL returns when their memory is free, so that the freeing
// is not measured with what follows.
func (b *bench) deleteKeys(prefix string) {
	script.Check(position.EachServer(b.ctx, b.redis, func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, prefix+"*", 2000).Iterator()
		pipe := node.Pipeline()
		for keys.Next(ctx) {
			pipe.Del(ctx, keys.Val()) // one by one: on a cluster they are of many slots
			if pipe.Len() == 2000 {
				if _, err := pipe.Exec(ctx); err != nil {
					return err
				}
			}
		}
		_, err := pipe.Exec(ctx)
		return errors.Join(keys.Err(), err)
	}))
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
		share := (n + partitions - 1 - p) / partitions
		all.Go(func() error {
			var batch []topology.Record
			for i := range share {
				r := make(p, i)
				r.Topic = topic
				batch = append(batch, r)
				if len(batch) < atOnce && i < share-1 {
					continue
				}
				if _, err := to.Publish(ctx, p, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
			return nil
		})
	}
	script.Check(all.Wait())
}
