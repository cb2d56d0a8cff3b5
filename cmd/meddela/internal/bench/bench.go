package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Config says what is measured, and on which servers.
type Config struct {
	Kafka       producer.Connection
	Compression kafka.Compression
	Redis       redis.UniversalClient
	Sizing      topology.Sizing
	// Templates are what the events are matched with.
	Templates []topology.TemplateRecord
	// FetchBytes is what the loops fetch at once.
	FetchBytes int
	// NewLoop makes the loop that a deployed role runs, with another handler.
	NewLoop func(LoopSpec) *consumer.Loop
	// Program starts this program anew, to play a role on the topics and keys
	// of a measurement. Its last arguments are those that are given.
	Program func(topology.Topics, topology.Keys, ...string) *exec.Cmd
	// Servers are processes whose CPU time is told, by name.
	Servers map[string]int
	// Profiles is a folder for CPU profiles of the roles' processes.
	// Default: none are made.
	Profiles string
	// Progress is told what is going on. Default: nobody is.
	Progress func(format string, values ...any)
}

// LoopSpec is what differs between the loops that are measured.
type LoopSpec struct {
	Names     topology.Topics
	Role      topology.Role // the group's name
	Topics    []topology.Topic
	Handler   consumer.Handler
	Transport *kafka.Transport
}

// lane is the one that is measured; the other is its twin.
const lane = topology.Realtime

// Bench measures. It is used by one goroutine.
type Bench struct {
	Config
	id        string
	transport *kafka.Transport
	kafka     *kafka.Client
	topics    []topology.Topic // to be deleted
	groups    []string         // to be deleted
}

// New makes a Bench. Close takes away what it leaves on the servers.
func New(c Config) *Bench {
	if c.Progress == nil {
		c.Progress = func(string, ...any) {}
	}
	transport := c.Kafka.Transport()
	return &Bench{
		Config:    c,
		id:        strings.ToLower(ulid.Make().String()),
		transport: transport,
		kafka:     &kafka.Client{Addr: c.Kafka.Addr(), Transport: transport, Timeout: 30 * time.Second},
	}
}

// names are the topics of one measurement.
func (b *Bench) names(measurement string) topology.Topics {
	return topology.Topics{Prefix: "bench." + b.id + "." + measurement + "."}
}

// keys are the Redis keys of one measurement.
func (b *Bench) keys(measurement string) topology.Keys {
	return topology.Keys{Prefix: b.keyPrefix() + measurement + ":"}
}

func (b *Bench) keyPrefix() string { return "bench:" + b.id + ":" }

// closeTime is how long taking away may take.
const closeTime = 2 * time.Minute

// Close deletes the topics, groups and keys that were made.
func (b *Bench) Close() error {
	defer b.transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	b.Progress("taking away topics and keys")
	err := errors.Join(b.deleteGroups(ctx), b.deleteTopics(ctx), b.deleteKeys(ctx, b.keyPrefix()))
	if err != nil {
		return fmt.Errorf("left behind on the servers, under bench.%s and bench:%s: %w", b.id, b.id, err)
	}
	return nil
}
