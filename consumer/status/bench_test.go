package status

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

const benchBatch = 500

// nowhere is a store that costs nothing.
type nowhere struct{}

func (nowhere) Write(context.Context, []topology.State) error { return nil }

// course is what becomes of event i: pending, pending delivery, sent.
func course(i int) [3]topology.Entry {
	id := topology.EventID(fmt.Sprintf("01JD8Q3Z5X6P7R8S9T%08d", i))
	pending, linked, sent := said(id, 0, topology.Pending, 0), said(id, 1, topology.PendingDelivery, 1),
		said(id, 1, topology.Sent, 2)
	linked.Template, sent.Template = "order_confirmation@3f9c1a2b4d5e6f70", "order_confirmation@3f9c1a2b4d5e6f70"
	sent.Provider, sent.ProviderMessageID = "smtp", "<"+string(id)+".0@mail.example.com>"
	for _, e := range []*topology.Entry{&pending, &linked, &sent} {
		e.Source = topology.SourceOf("meddela.realtime.events", i%12, int64(i))
		e.JobID = topology.JobIDOf(id, 0)
	}
	return [3]topology.Entry{pending, linked, sent}
}

// BenchmarkHandle is one record's share of the work in Go on a batch.
func BenchmarkHandle(b *testing.B) {
	var entries, events []topology.Record
	for i := range benchBatch {
		entries = append(entries, logged(course(i / 2)[1+i%2]))
		event := published(`{"id":"01JD8Q3Z5X6P7R8S9T` + strconv.Itoa(i) +
			`","type":"order_confirmation","channel":"email","email":"kim@example.com",` +
			`"language":"sv-FI","origin":"webshop","ctx":{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"EUR"}}}`)
		events = append(events, event)
	}
	for name, records := range map[string][]topology.Record{"entries": entries, "events": events} {
		b.Run(name, func(b *testing.B) {
			h := Handler{Lane: topology.Realtime, Names: names, Store: nowhere{}}
			batch := consumer.Batch{Topic: records[0].Topic, Records: records}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Handle(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b)
		})
	}
}

// unchanged is a Redis that costs nothing, in which nothing changes.
type unchanged struct{}

func (unchanged) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (unchanged) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (unchanged) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, commands []redis.Cmder) error {
		for _, c := range commands {
			c.(*redis.Cmd).SetVal(make([]any, c.Args()[2].(int)))
		}
		return nil
	}
}

// BenchmarkCalls is one state's share of the work in Go on a write.
func BenchmarkCalls(b *testing.B) {
	var states []topology.State
	for i := range benchBatch {
		states = append(states, stateOf(course(i)[2]))
	}
	for name, client := range map[string]redis.UniversalClient{
		"single": redis.NewClient(&redis.Options{}), "cluster": redis.NewClusterClient(&redis.ClusterOptions{}),
	} {
		b.Run(name, func(b *testing.B) {
			defer func() { _ = client.Close() }()
			client.AddHook(unchanged{})
			store := Store{Client: client, Keys: topology.Keys{Prefix: "meddela:"}}
			b.ReportAllocs()
			for b.Loop() {
				mustWrite(b, &store, states...)
			}
			perRecord(b)
		})
	}
}

// BenchmarkWrite writes states of events that are new, move on, and are known
// already.
func BenchmarkWrite(b *testing.B) {
	for _, server := range servers(b) {
		for _, chunk := range []int{1, 10, DefaultChunk, 500} {
			store := Store{Client: server.client, Keys: testKeys(), Chunk: chunk}
			for what, name := range []string{"new", "pending_delivery", "sent", "again"} {
				b.Run(fmt.Sprintf("%s/%d/%s", server.name, chunk, name), func(b *testing.B) { benchmarkWrite(b, &store, what) })
			}
		}
	}
}

func benchmarkWrite(b *testing.B, store *Store, what int) {
	b.ReportAllocs()
	at := int(time.Now().UnixMicro())
	for b.Loop() {
		b.StopTimer()
		var stages [4][]topology.State
		for i := range benchBatch {
			c := course(at + i)
			for k := range stages {
				stages[k] = append(stages[k], stateOf(c[min(k, len(c)-1)]))
			}
		}
		at += benchBatch
		for _, states := range stages[:what] {
			mustWrite(b, store, states...)
		}
		b.StartTimer()
		mustWrite(b, store, stages[what]...)
	}
	perRecord(b)
}

// perRecord says what one record of a batch took.
func perRecord(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/record")
}
