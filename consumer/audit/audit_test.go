package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 2
	lane       = topology.Batch
)

var names = topology.Topics{Prefix: "test."}

// world is an installation in which roles do what the test says, and the auditor looks when it says.
type world struct {
	*fixtures.Kafka
	t   *testing.T
	a   *Auditor
	log strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kafka: fixtures.StartKafka(t, embedded.BrokerConfig{}), t: t}
	w.CreateLanes(t, names, partitions)
	w.restart()
	w.look()
	return w
}

// restart is of the auditor.
func (w *world) restart() {
	w.a = New(Config{
		Lane: lane, Names: names, Topics: &scan.Topics{Addr: w.Link.Addr(), Transport: w.Transport}, Log: zerolog.New(&w.log),
	})
	w.a.apart = 0
}

// look looks as often as it takes until all is judged that can be: at what match, deliver, delay and deliver have
// committed.
func (w *world) look() {
	w.t.Helper()
	for range 5 {
		if err := w.a.look(fixtures.Soon(w.t)); err != nil {
			w.t.Fatal(err)
		}
		w.a.saved = time.Time{} // as if it were long ago
	}
}

func (w *world) commit(group string, topic topology.Topic, offset int64) {
	w.t.Helper()
	w.commitAt(group, topic, 0, offset)
}

func (w *world) commitAt(group string, topic topology.Topic, partition int, offset int64) {
	w.t.Helper()
	fixtures.Await(w.t, "the offset is committed", func() error { // after an outage not at once
		response, err := w.Client.OffsetCommit(fixtures.Soon(w.t), &kafka.OffsetCommitRequest{
			GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{string(topic): {
				{Partition: partition, Offset: offset}}},
		})
		if err != nil {
			return err
		}
		return response.Topics[string(topic)][0].Error
	})
}

// grow gives a topic so many partitions, and waits until an auditor knows.
func (w *world) grow(topic topology.Topic, partitions int32) {
	w.t.Helper()
	answer, err := w.Client.CreatePartitions(fixtures.Soon(w.t), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: string(topic), Count: partitions}}})
	if err == nil {
		err = answer.Errors[string(topic)]
	}
	if err != nil {
		w.t.Fatal(err)
	}
	fixtures.Eventually(w.t, "the partitions are there", func() bool {
		all, err := w.a.Topics.All(fixtures.Soon(w.t), topic)
		report, failed := w.a.gauge.Measure(fixtures.Soon(w.t))
		if err != nil || failed != nil || len(all) != int(partitions) {
			return false
		}
		return slices.ContainsFunc(report.Groups, func(g lag.Group) bool {
			return slices.ContainsFunc(g.Partitions, func(p lag.Partition) bool {
				return p.Topic == topic && p.ID == int(partitions)-1
			})
		})
	})
}

func (w *world) matched(offset int64) {
	w.t.Helper()
	w.commit(names.Group(topology.RoleMatch, lane), names.Events(lane), offset)
}

func (w *world) delivered(offset int64) {
	w.t.Helper()
	w.commit(names.DeliverGroup(lane, topology.Email), names.Jobs(lane), offset)
}

func (w *world) delete(topic topology.Topic, before int64) {
	w.t.Helper()
	if err := w.Cluster.DeleteRecords(string(topic), 0, before); err != nil {
		w.t.Fatal(err)
	}
}

// event publishes one with an id to partition 0.
func (w *world) event(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.Publish(w.t, names.Events(lane), 0, topology.Record{Time: time.Now(),
			Value: fmt.Appendf(nil, `{"id":%q,"type":"order","email":"k@example.com","ctx":{}}`, id)})
	}
}

// says writes an entry about the event at an offset of partition 0.
func (w *world) says(id string, offset int64, status topology.Status, reason topology.Reason) {
	w.t.Helper()
	e := topology.Entry{EventID: topology.EventID(id), JobID: topology.JobIDOf(topology.EventID(id), 0), Lane: lane,
		Attempt: 1, Status: status, Reason: reason, Channel: topology.Email,
		Source: topology.SourceOf(names.Events(lane), 0, offset),
		At:     time.Now()}
	w.Publish(w.t, names.DeliveryLog(lane), 0, topology.Record{Key: []byte(id), Value: e.Append(nil)})
}

// job is what match does with an event: a job, and an entry.
func (w *world) job(id string, offset int64) {
	w.t.Helper()
	w.Publish(w.t, names.Jobs(lane), 0, topology.Record{Value: []byte("{}")})
	w.says(id, offset, topology.PendingDelivery, "")
}

// waits is what deliver, or match, does with an event that is to go on at a time: a record that role delay holds, and
// an entry.
func (w *world) waits(id string, offset int64, reason topology.Reason, due time.Time) {
	w.t.Helper()
	w.Publish(w.t, names.Delay(lane, topology.Tiers()[0]), 0, topology.Record{Value: []byte("{}")})
	e := topology.Entry{EventID: topology.EventID(id), Status: topology.PendingDelivery, Reason: reason, Due: due,
		Channel: topology.Email, Source: topology.SourceOf(names.Events(lane), 0, offset), At: time.Now()}
	w.Publish(w.t, names.DeliveryLog(lane), 0, topology.Record{Key: []byte(id), Value: e.Append(nil)})
}

// retries is that an event has a job that deliver has had, and tries again at a time.
func (w *world) retries(id string, due time.Time) {
	w.t.Helper()
	w.event(id)
	w.job(id, 1)
	w.waits(id, 1, topology.ReasonTransient, due)
	w.matched(2)
	w.delivered(2)
}

// held is up to where role delay has committed what waits.
func (w *world) held(offset int64) {
	w.t.Helper()
	w.commit(names.Group(topology.RoleDelay, lane), names.Delay(lane, topology.Tiers()[0]), offset)
}

func (w *world) sent(id string, offset int64) { w.t.Helper(); w.says(id, offset, topology.Sent, "") }

// wellDone has an event go the whole way.
func (w *world) wellDone(id string, offset int64) {
	w.t.Helper()
	w.event(id)
	w.job(id, offset)
	w.sent(id, offset)
	w.matched(offset + 1)
	w.delivered(offset + 1)
}

// letter is what a role does with a record that it cannot handle.
func (w *world) letter(r topology.Record, role topology.Role) {
	w.t.Helper()
	w.Publish(w.t, names.DeadLetters(lane), 1,
		names.DeadLetter(lane, &r, &topology.Fault{Reason: topology.ReasonBadValue}, role, time.Now()))
}

// damage has n offsets from one on of partition 0 come as a batch whose checksum is wrong.
func (w *world) damage(topic topology.Topic, from, n int64) {
	set, err := wire.AppendSet(nil, slices.Repeat([]*topology.Record{{}}, int(n)), compress.None, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	set = set[4:]
	set[7], set[len(set)-1] = byte(from), set[len(set)-1]^1
	id := w.Cluster.TopicInfo(string(topic)).TopicID
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		of := request.(*kmsg.FetchRequest).Topics[0]
		if p := of.Partitions[0]; of.TopicID != id || p.FetchOffset < from || p.FetchOffset >= from+n {
			return nil, nil, false
		}
		answer := kmsg.NewFetchResponseTopicPartition()
		answer.HighWatermark, answer.LastStableOffset, answer.RecordBatches = from+n, from+n, set
		response := request.ResponseKind().(*kmsg.FetchResponse)
		response.Topics = []kmsg.FetchResponseTopic{{TopicID: id,
			Partitions: []kmsg.FetchResponseTopicPartition{answer}}}
		return response, nil, true
	})
}

// position is what the auditor has committed of partition 0 of a topic, and the most metadata of any.
func (w *world) position(topic topology.Topic) (offset int64, metadata int) {
	w.t.Helper()
	answer, err := w.Client.OffsetFetch(fixtures.Soon(w.t), &kafka.OffsetFetchRequest{
		GroupID: names.Group(topology.RoleAudit, lane), Topics: map[string][]int{string(topic): {0, 1}}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range answer.Topics[string(topic)] {
		if metadata = max(metadata, len(p.Metadata)); p.Partition == 0 {
			offset = p.CommittedOffset
		}
	}
	return offset, metadata
}

// transact publishes one event in a transaction to partition 0.
func (w *world) transact(id string, commit kgo.TransactionEndTry) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Link.Brokers...), kgo.TransactionalID("upstream"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx := fixtures.Soon(w.t)
	err = client.BeginTransaction()
	if err == nil {
		err = client.ProduceSync(ctx, &kgo.Record{Topic: string(names.Events(lane)),
			Value: []byte(`{"id":"` + id + `","type":"order","ctx":{}}`)}).FirstErr()
	}
	if err == nil {
		err = client.EndTransaction(ctx, commit)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// want is what the auditor is to have found: "role id from-to", and what became of offsets.
func (w *world) want(offsets map[string]int64, losses ...string) {
	w.t.Helper()
	s, got := w.a.Stats(), []string{}
	maps.DeleteFunc(s.Offsets, func(_ string, n int64) bool { return n == 0 })
	for _, l := range s.Lost {
		got = append(got, fmt.Sprintf("%s %s %d-%d", l.Role, l.ID, l.From, l.To))
		if line := fmt.Sprintf(`"committed_by":"%s","topic":"%s","partition":0,"offset":%d,"up_to":%d,"event_id":"%s"`,
			l.Role, l.Topic, l.From, l.To-1, l.ID); !strings.Contains(w.log.String(), line) {
			w.t.Errorf("the log has no %s", line)
		}
	}
	slices.Sort(got)
	slices.Sort(losses)
	if !slices.Equal(got, losses) {
		w.t.Errorf("lost are %q, want %q", got, losses)
	}
	if offsets != nil && !reflect.DeepEqual(s.Offsets, offsets) {
		w.t.Errorf("offsets %v, want %v", s.Offsets, offsets)
	}
}

// TestWhatIsLost: each way to lose an event is noticed and named, and none of what looks like one.
func TestWhatIsLost(t *testing.T) {
	for _, test := range []struct {
		name    string
		happens func(w *world)
		offsets map[string]int64 // beside that of the event before
		lost    []string
	}{
		{"nothing", func(*world) {}, nil, nil},
		{"match has swallowed one", func(w *world) { w.event("a"); w.matched(2) },
			map[string]int64{Lost: 1}, []string{"match a 1-2"}},
		{"it has not come to it", func(w *world) { w.event("a", "b") }, nil, nil},
		{"two of four", func(w *world) {
			w.event("a", "b", "c", "d")
			w.says("b", 2, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.says("d", 4, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.matched(5)
		}, map[string]int64{Event: 2, Lost: 2}, []string{"match a 1-2", "match c 3-4"}},
		{"the entry is of another offset", func(w *world) {
			w.event("a", "b")
			w.says("a", 2, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.says("b", 2, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.matched(3)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"match a 1-2"}},
		{"the entry is of no offset", func(w *world) {
			w.event("a")
			w.says("x", 1<<40, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.matched(2)
		}, map[string]int64{Lost: 1}, []string{"match a 1-2"}},
		{"retention was faster than match", func(w *world) {
			w.event("a", "b", "c")
			w.delete(names.Events(lane), 3)
		}, map[string]int64{Lost: 2}, []string{"match  1-3"}},
		{"and match goes on behind it", func(w *world) {
			w.event("a", "b", "c")
			w.delete(names.Events(lane), 3)
			w.says("c", 3, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.matched(4)
		}, map[string]int64{Event: 1, Lost: 2}, []string{"match  1-3"}},
		{"retention after match", func(w *world) { w.wellDone("a", 1); w.delete(names.Events(lane), 2) },
			map[string]int64{Event: 1}, nil},
		{"deliver has swallowed a job", func(w *world) {
			w.event("a")
			w.job("a", 1)
			w.matched(2)
			w.delivered(2)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"deliver a 1-2"}},
		{"it has not come to it", func(w *world) {
			w.event("a")
			w.job("a", 1)
			w.matched(2)
		}, map[string]int64{Event: 1}, nil},
		{"the job is deleted before it was read", func(w *world) {
			w.event("a")
			w.job("a", 1)
			w.matched(2)
			w.delete(names.Jobs(lane), 2)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"deliver a 1-2"}},
		{"the job of another channel, which nobody delivers, waits", func(w *world) {
			w.event("a")
			w.job("a", 1)
			w.Publish(w.t, names.Jobs(lane), 0, topology.Record{Value: []byte("{}")})
			e := topology.Entry{EventID: "s", Status: topology.PendingDelivery, Channel: topology.SMS, Attempt: 1,
				Source: topology.SourceOf(names.Events(lane), 0, 2), At: time.Now()}
			w.event("s")
			w.Publish(w.t, names.DeliveryLog(lane), 0, topology.Record{Value: e.Append(nil)})
			w.sent("a", 1)
			w.matched(3)
			w.delivered(3)
		}, map[string]int64{Event: 2}, nil},
		{"what waits is deleted", func(w *world) {
			w.event("a")
			w.says("a", 1, topology.PendingDelivery, topology.ReasonScheduled)
			w.Publish(w.t, names.Delay(lane, topology.Tiers()[3]), 0, topology.Record{Value: []byte("{}")})
			w.matched(2)
			w.delete(names.Delay(lane, topology.Tiers()[3]), 1)
		}, map[string]int64{Event: 1}, []string{"delay  0-1"}},
		{"what waits waits", func(w *world) {
			for i, reason := range []topology.Reason{topology.ReasonScheduled, topology.ReasonPaused, topology.ReasonTransient,
				topology.ReasonQuiet, topology.ReasonProviderDown} {
				w.event("e")
				w.says("e", int64(1+i), topology.PendingDelivery, reason)
			}
			w.matched(6)
			w.delivered(1)
		}, map[string]int64{Event: 5}, nil},
		{"deliver swallows a retry", func(w *world) {
			w.retries("a", time.Now())
			w.Publish(w.t, names.Jobs(lane), 0, topology.Record{Value: []byte("{}")})
			w.held(1)
			w.delivered(3)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"delay a 1-2"}},
		{"delay swallows it", func(w *world) {
			w.retries("a", time.Now())
			w.held(1)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"delay a 1-2"}},
		{"delay has not come to it", func(w *world) {
			w.retries("a", time.Now())
		}, map[string]int64{Event: 1}, nil},
		{"deliver has not come to it again", func(w *world) {
			w.retries("a", time.Now())
			w.Publish(w.t, names.Jobs(lane), 0, topology.Record{Value: []byte("{}")})
			w.held(1)
		}, map[string]int64{Event: 1}, nil},
		{"it is not due", func(w *world) {
			w.retries("a", time.Now().Add(time.Hour))
			w.held(1)
		}, map[string]int64{Event: 1}, nil},
		{"the retry is sent", func(w *world) {
			w.retries("a", time.Now())
			w.look()
			w.held(1)
			w.sent("a", 1)
			w.waits("a", 1, topology.ReasonTransient, time.Now()) // an entry that comes late
		}, map[string]int64{Event: 1}, nil},
		{"the retry is paused", func(w *world) {
			w.retries("a", time.Now())
			w.says("a", 1, topology.PendingDelivery, topology.ReasonPaused)
			w.held(1)
		}, map[string]int64{Event: 1}, nil},
		{"the second retry is swallowed, long after the first", func(w *world) {
			w.retries("a", time.Now())
			w.look()
			w.waits("a", 1, topology.ReasonProviderDown, time.Now())
			w.held(2)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"delay a 1-2"}},
		{"a retry of which role delay made a dead letter", func(w *world) {
			w.retries("a", time.Now())
			w.look()
			j := topology.Job{EventID: "a", Source: topology.SourceOf(names.Events(lane), 0, 1)}
			w.letter(topology.Record{Topic: names.Delay(lane, topology.Tiers()[0]), Value: j.Append(nil)}, topology.RoleDelay)
			w.held(1)
		}, map[string]int64{Event: 1, Letter: 1}, nil},
		{"what is scheduled is swallowed", func(w *world) {
			w.event("a")
			w.waits("a", 1, topology.ReasonScheduled, time.Now())
			w.matched(2)
			w.held(1)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"delay a 1-2"}},
		{"match has not committed what is scheduled", func(w *world) {
			w.event("a")
			w.waits("a", 1, topology.ReasonScheduled, time.Now())
			w.held(1)
		}, nil, nil},
		{"transactions, one aborted", func(w *world) {
			w.transact("a", kgo.TryCommit) // and its marker
			w.transact("b", kgo.TryAbort)
			w.wellDone("c", 5)
			w.says("a", 1, topology.NotCovered, topology.ReasonNoTemplateForType)
		}, map[string]int64{Event: 2, "marker": 2, "aborted": 1}, nil},
		{"a committed one is lost among them", func(w *world) {
			w.transact("a", kgo.TryAbort)
			w.transact("b", kgo.TryCommit)
			w.wellDone("c", 5)
		}, map[string]int64{Event: 1, "marker": 2, "aborted": 1, Lost: 1}, []string{"match b 3-4"}},
		{"dead letters without an entry", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, topology.Record{Time: time.Now()})
			w.letter(topology.Record{Topic: names.Events(lane), Offset: 1}, topology.RoleMatch)
			w.matched(2)
		}, map[string]int64{Event: 1}, nil},
		{"a tombstone that nothing tells of", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, topology.Record{Time: time.Now()})
			w.matched(2)
		}, map[string]int64{Lost: 1}, []string{"match batch-0-1 1-2"}},
		{"the same id twice, and work that is done twice", func(w *world) {
			w.wellDone("a", 1)
			w.wellDone("a", 2)
			w.job("a", 1)
			w.job("a", 2)
			w.sent("a", 2)
		}, map[string]int64{Event: 2}, nil},
		{"an entry that comes before match's", func(w *world) {
			w.event("a")
			w.sent("a", 1)
			w.job("a", 1)
			w.matched(2)
			w.delivered(2)
		}, map[string]int64{Event: 1}, nil},
		{"an event of the redrive topic", func(w *world) {
			w.event("a")
			w.says("a", 1, topology.NotCovered, topology.ReasonNoTemplateForType)
			w.matched(2)
			e := topology.Entry{EventID: "a", Redrives: 1, Attempt: 1, Status: topology.PendingDelivery, Channel: topology.Email,
				Source: topology.SourceOf(names.Events(lane), 0, 1), At: time.Now()}
			w.Publish(w.t, names.DeliveryLog(lane), 0, topology.Record{Value: e.Append(nil)})
			w.delivered(1)
		}, map[string]int64{Event: 1}, nil},
		{"a batch that stays damaged, and its dead letter", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, make([]topology.Record, 3)...)
			w.damage(names.Events(lane), 1, 3)
			w.letter(topology.Record{Topic: names.Events(lane), Offset: 1}, topology.RoleMatch)
			w.matched(4)
		}, map[string]int64{Event: 1, consumer.Unreadable: 2}, nil},
		{"a batch that stays damaged, and no dead letter", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, make([]topology.Record, 3)...)
			w.damage(names.Events(lane), 1, 3)
			w.matched(4)
		}, map[string]int64{Lost: 1, consumer.Unreadable: 2}, []string{"match  1-2"}},
		{"too many headers, and a dead letter", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, topology.Record{Headers: make([]topology.Header, wire.MostHeaders+1)})
			w.letter(topology.Record{Topic: names.Events(lane), Offset: 1}, topology.RoleMatch)
			w.matched(2)
		}, map[string]int64{Event: 1}, nil},
		{"too many headers, and no dead letter", func(w *world) {
			w.Publish(w.t, names.Events(lane), 0, topology.Record{Headers: make([]topology.Header, wire.MostHeaders+1)})
			w.matched(2)
		}, map[string]int64{Lost: 1}, []string{"match  1-2"}},
		{"a dead letter that cannot be read", func(w *world) {
			w.event("a", "b")
			w.letter(topology.Record{Topic: names.Events(lane), Offset: 1}, topology.RoleMatch)
			w.Publish(w.t, names.DeadLetters(lane), 1, topology.Record{Headers: make([]topology.Header, wire.MostHeaders+1)})
			w.matched(3)
		}, map[string]int64{Event: 1, Lost: 1}, []string{"match b 2-3"}},
		{"a job becomes a dead letter, twice", func(w *world) {
			w.event("a")
			w.job("a", 1)
			w.matched(2)
			j := topology.Job{EventID: "a", Source: topology.SourceOf(names.Events(lane), 0, 1)}
			w.letter(topology.Record{Topic: names.Jobs(lane), Offset: 1, Value: j.Append(nil)}, topology.RoleDeliver)
			w.letter(topology.Record{Topic: names.Jobs(lane), Offset: 1, Value: j.Append(nil)}, topology.RoleDeliver)
			w.delivered(2)
		}, map[string]int64{Event: 1, Letter: 1}, nil},
		{"what is published again is deleted", func(w *world) {
			w.Publish(w.t, names.Redrive(lane), 0, make([]topology.Record, 2)...)
			w.delete(names.Redrive(lane), 2)
		}, nil, []string{"match  0-2"}},
		{"what is no entry", func(w *world) {
			w.Publish(w.t, names.DeliveryLog(lane), 0, topology.Record{Value: []byte("hello")}, topology.Record{})
			w.wellDone("a", 1)
		}, map[string]int64{Event: 1}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.wellDone("first", 0)
			w.look()
			test.happens(w)
			w.look()
			offsets := map[string]int64{Event: 1}
			for is, n := range test.offsets {
				offsets[is] += n
			}
			w.want(offsets, test.lost...)
			w.restart() // it finds the same, or remembers it
			w.look()
			w.want(nil, test.lost...)
		})
	}
}

// TestARestart hides no loss: what happened before it, meanwhile, and what was half done.
func TestARestart(t *testing.T) {
	w := newWorld(t)
	w.wellDone("a", 0)
	w.event("b", "c")
	w.matched(2) // b is lost
	w.look()
	w.want(nil, "match b 1-2")

	w.job("c", 2)
	w.matched(3) // and committed: its job is open
	w.look()
	w.restart()
	// What others wait for does not put it off.
	w.Publish(t, names.Delay(lane, topology.TierFor(6*time.Hour)), 0, topology.Record{Value: []byte("{}")})
	w.event("d")
	w.matched(4) // d is lost while nobody looks
	w.delivered(2)
	w.look()
	w.want(nil, "deliver c 2-3", "match b 1-2", "match d 3-4")

	w.restart()
	w.wellDone("b", 4) // it is published again
	w.sent("c", 2)     // it comes late
	w.look()
	w.want(nil, "match d 3-4")
	if n := w.a.Stats().Offsets[Recovered]; n != 2 {
		t.Errorf("%d recovered, want 2", n)
	}
	if s := w.a.Stats(); s.Unaccounted(topology.RoleMatch) != 1 || s.Unaccounted(topology.RoleDeliver) != 0 {
		t.Errorf("unaccounted for: %+v", s)
	}
}

// TestWhatWaits is still known after a restart, whatever else came meanwhile, as far as there is room.
func TestWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.wellDone("first", 0)
	w.retries("a", time.Now().Add(time.Second))
	for i := range int64(100) { // so that the window is beyond it
		w.wellDone("b", 2+i)
	}
	w.look()
	w.restart()
	w.look()
	if s := w.a.Stats(); s.Waiting != 1 || s.Open != 0 {
		t.Errorf("%d wait, %d are open", s.Waiting, s.Open)
	}
	w.held(1)
	fixtures.Eventually(t, "it is due, and noticed", func() bool { w.look(); return len(w.a.Stats().Lost) > 0 })
	w.want(nil, "delay a 1-2")

	const n = 400
	events, entries := make([]topology.Record, n), make([]topology.Record, n)
	for i := range events {
		events[i].Value = []byte(`{"id":"e","type":"order","ctx":{}}`)
		e := topology.Entry{EventID: "e", Status: topology.PendingDelivery, Reason: topology.ReasonQuiet,
			Channel: topology.Email, Source: topology.SourceOf(names.Events(lane), 0, int64(102+i)), At: time.Now(),
			Due: time.Now().Add(time.Hour)}
		entries[i].Value = e.Append(nil)
	}
	w.Publish(t, names.Events(lane), 0, events...)
	w.Publish(t, names.DeliveryLog(lane), 0, entries...)
	w.matched(102 + n)
	w.look()
	w.restart()
	w.look()
	if s := w.a.Stats(); s.Waiting != mostAside {
		t.Errorf("of %d that wait %d are known, want %d", n, s.Waiting, mostAside)
	}
}

// TestThePositionFits into what Kafka takes, however far offsets are, and however much there is to tell.
func TestThePositionFits(t *testing.T) {
	const far = 1 << 60
	a, w := New(Config{Lane: lane, Names: names}), newWindow(far)
	a.events, a.id, a.stats.Since, w.matched = []*window{w}, strings.Repeat("x", 22), time.Now(), far+1000
	for o := range int64(1000) {
		w.waits[far+o] = never * 4
		for _, role := range Losers() {
			a.lose(Loss{Role: role, Topic: names.Events(lane), From: far + o, To: 1 << 62, ID: "e"})
		}
	}
	metadata := a.remember(0).Metadata
	if len(metadata) > 4096 || len(metadata) < 3000 {
		t.Errorf("%d bytes, want nearly 4096", len(metadata))
	}
}

// TestAnotherBuildsPosition is told of as a gap.
func TestAnotherBuildsPosition(t *testing.T) {
	a, began := New(Config{Lane: lane, Names: names}), time.Now().Add(-time.Second)
	for text, gap := range map[string]bool{"open 0 3\nlooked 17": true, "{}": false, "": false} {
		a.stats.Since = time.Time{}
		a.restore(newWindow(0), text)
		if since := a.Stats().Since; since.After(began) != gap {
			t.Errorf("%q: it begins anew at %v", text, since)
		}
	}
}

// TestTooManyWait: what is beyond a bound is counted, and not followed, nor kept beyond another; what is due first is.
func TestTooManyWait(t *testing.T) {
	w := newWindow(0)
	w.end = mostWaiting + 7
	for o := range w.end {
		w.tell(o, 0, never)
	}
	if w.matched = w.end; len(w.waits) != mostWaiting {
		t.Errorf("%d wait", len(w.waits))
	}
	if open, forgotten := w.settle(); open != 0 || forgotten != 7 {
		t.Errorf("%d are open, %d forgotten", open, forgotten)
	}
	const soon = mostAside / 2
	for o := range int64(soon) {
		w.tell(o*7, 0, 1+o)
	}
	_, kept := w.aside()
	for o := range int64(soon) {
		if len(kept) != mostAside || kept[o*7] != wait(4*(1+o)) {
			t.Fatalf("%d are kept, %d as %d", len(kept), o*7, kept[o*7])
		}
	}
}

// TestMorePartitions of the jobs: where an event's job is depends on when it was written.
func TestMorePartitions(t *testing.T) {
	w := newWorld(t)
	publish := func(partition int, id string, offset int64) {
		w.Publish(t, names.Events(lane), partition, topology.Record{Value: fmt.Appendf(nil, `{"id":%q,"ctx":{}}`, id)})
		e := topology.Entry{EventID: topology.EventID(id), Status: topology.PendingDelivery, Channel: topology.Email,
			Source: topology.SourceOf(names.Events(lane), partition, offset), At: time.Now()}
		w.Publish(t, names.DeliveryLog(lane), 0, topology.Record{Value: e.Append(nil)})
	}
	w.grow(names.Events(lane), 4)
	w.look()
	publish(3, "a", 0)
	w.Publish(t, names.Jobs(lane), 1, topology.Record{Value: []byte("{}")}) // 3 modulo 2
	w.commitAt(names.Group(topology.RoleMatch, lane), names.Events(lane), 3, 1)
	w.look()
	w.grow(names.Jobs(lane), 4)
	w.look()
	w.want(nil)
	w.commitAt(names.DeliverGroup(lane, topology.Email), names.Jobs(lane), 1, 1)
	w.look()
	if s := w.a.Stats(); len(s.Lost) != 1 || s.Lost[0].ID != "a" {
		t.Errorf("lost are %v, want a", s.Lost)
	}
}

// TestTheEventsAreMadeAgain: the new topic's offsets are not those of the old one, whether anybody looks meanwhile.
func TestTheEventsAreMadeAgain(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWorld(t)
		w.wellDone("a", 0)
		w.event("b")
		w.matched(2)
		w.look()
		w.want(nil, "match b 1-2")
		since := w.a.Stats().Since
		if _, err := w.Client.DeleteTopics(fixtures.Soon(t), &kafka.DeleteTopicsRequest{
			Topics: []string{string(names.Events(lane))}}); err != nil {
			t.Fatal(err)
		}
		w.CreateTopic(t, names.Events(lane), partitions, nil)
		w.event("c", "d", "e", "f")
		w.matched(4)
		for i, id := range []string{"c", "e", "f"} {
			w.says(id, []int64{0, 2, 3}[i], topology.NotCovered, topology.ReasonNoTemplateForType)
		}
		lost := []string{"match b 1-2", "match d 1-2"}
		if restarts { // of the old topic it knows no more
			w.restart()
			lost = lost[1:]
		}
		w.look()
		w.want(nil, lost...)
		if s := w.a.Stats(); !s.Since.After(since) {
			t.Errorf("it began anew at %v, and says %v", since, s.Since)
		}
	}
}

// TestManyLosses are counted, and remembered as far as there is room.
func TestManyLosses(t *testing.T) {
	w := newWorld(t)
	const n = mostLost + 500
	records := make([]topology.Record, n)
	for i := range records {
		records[i] = topology.Record{Time: time.Now(), Value: fmt.Appendf(nil, `{"id":"e-%d","type":"order","ctx":{}}`, i)}
	}
	w.Publish(t, names.Events(lane), 0, records...)
	w.matched(n)
	w.look()
	for range 2 {
		if s := w.a.Stats(); s.Unaccounted(topology.RoleMatch) != n {
			t.Errorf("%d unaccounted for, want %d", s.Unaccounted(topology.RoleMatch), n)
		}
		if lines := strings.Count(w.log.String(), `"unaccounted for:`); lines != mostNamed {
			t.Errorf("%d lines, want %d", lines, mostNamed)
		}
		w.restart()
		w.look()
	}
}

// TestMillionsDeleted unread are one loss, found at once however many are known, and none once the context has ended.
func TestMillionsDeleted(t *testing.T) {
	const n = 20_000_000
	a, w, soon := New(Config{Lane: lane, Names: names}), newWindow(0), fixtures.Soon(t)
	a.events, w.end = []*window{w}, n
	for i := range int64(mostLost - 1) {
		a.lose(Loss{Role: topology.RoleDeliver, Topic: names.Events(lane), From: 2 * i, To: 2*i + 1})
	}
	judge := func(ctx context.Context) error {
		return a.judge(ctx, &lag.Group{Role: topology.RoleMatch}, &lag.Partition{Topic: names.Events(lane), First: n},
			[]scan.Range{{Topic: names.Events(lane), From: n, To: n}})
	}
	ended, end := context.WithCancel(soon)
	if end(); !errors.Is(judge(ended), context.Canceled) {
		t.Error("it goes on after its context has ended")
	}
	if err := judge(soon); err != nil || soon.Err() != nil {
		t.Fatal(err, soon.Err())
	}
	if last := a.stats.Lost[len(a.stats.Lost)-1]; len(a.stats.Lost) != mostLost || last.From != 0 || last.To != n {
		t.Errorf("%d losses, the last %+v", len(a.stats.Lost), last)
	}
}

// TestTheLogIsGone: then nothing is known of before, and nothing is said of it.
func TestTheLogIsGone(t *testing.T) {
	w := newWorld(t)
	began := w.a.Stats().Since
	w.wellDone("a", 0)
	w.event("b")
	w.says("b", 1, topology.NotCovered, topology.ReasonNoTemplateForType)
	w.delete(names.DeliveryLog(lane), 3)
	w.matched(2)
	w.look()
	w.want(nil)
	if !strings.Contains(w.log.String(), "begins at the present") {
		t.Error("the log does not say that it begins anew")
	}
	if since := w.a.Stats().Since; !since.After(began) {
		t.Errorf("it says that it began at %v, when it did so first", since)
	}
	began = w.a.Stats().Since
	w.restart()
	w.look()
	if since := w.a.Stats().Since; since.Unix() != began.Unix() {
		t.Errorf("after a restart it says that it began at %v, which was at %v", since, began)
	}
	w.event("c")
	w.matched(3)
	w.look()
	w.want(nil, "match c 2-3")
}

// TestALogThatCannotBeReadWhole makes nobody lost: what it told of is not known.
func TestALogThatCannotBeReadWhole(t *testing.T) {
	w := newWorld(t)
	w.event("a")
	w.says("a", 0, topology.NotCovered, topology.ReasonNoTemplateForType)
	w.damage(names.DeliveryLog(lane), 0, 1)
	w.matched(1)
	w.a.Topics.Patience = 10 * time.Second
	if err := w.a.look(fixtures.Soon(t)); !errors.Is(err, errUnread) {
		t.Fatal(err)
	}
	w.look()
	w.want(nil)
	w.event("b")
	w.matched(2)
	w.look()
	w.want(nil, "match b 1-2")
}

// TestLongIDs: losses fill the position's metadata up to what a broker takes.
func TestLongIDs(t *testing.T) {
	w := newWorld(t)
	const n = 40
	for i := range n {
		w.event(strings.Repeat("x", 100) + strconv.Itoa(i))
	}
	w.matched(n)
	w.look()
	if _, metadata := w.position(names.Events(lane)); metadata > 4096 || metadata < 3000 {
		t.Errorf("%d bytes of metadata, want nearly 4096", metadata)
	}
	w.restart()
	w.look()
	if s := w.a.Stats(); s.Unaccounted(topology.RoleMatch) != n || len(s.Lost) < 10 {
		t.Errorf("%d unaccounted for, %d of them by name; want %d", s.Unaccounted(topology.RoleMatch), len(s.Lost), n)
	}
}

// TestOpenEvents hold up no position, unless they are many, and are still known after a restart.
func TestOpenEvents(t *testing.T) {
	for _, test := range []struct {
		name    string
		open    int64 // events with a job that nobody delivers
		then    func(w *world)
		still   int64
		lost    []string
		carries bool // the position goes beyond them
	}{
		{"one stays open", 1, func(*world) {}, 1, nil, true},
		{"one ends", 1, func(w *world) { w.sent("open-0", 0) }, 0, nil, true},
		{"one is lost", 1, func(w *world) { w.delivered(100) }, 0, []string{"deliver open-0 0-1"}, true},
		{"what has ended is told again", 1, func(w *world) { w.says("done-0", 1, topology.PendingDelivery, "") }, 1, nil,
			true},
		{"many stay open", 3000, func(*world) {}, 3000, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := func(i int64) string { return fmt.Sprintf("open-%d", i) }
			events, entries := make([]topology.Record, test.open), make([]topology.Record, test.open)
			for i := range events {
				events[i].Value = fmt.Appendf(nil, `{"id":%q,"type":"order","ctx":{}}`, id(int64(i)))
				e := topology.Entry{EventID: topology.EventID(id(int64(i))), Attempt: 1, Status: topology.PendingDelivery,
					Channel: topology.Email, Source: topology.SourceOf(names.Events(lane), 0, int64(i)), At: time.Now()}
				entries[i].Value = e.Append(nil)
			}
			w.Publish(t, names.Events(lane), 0, events...)
			w.Publish(t, names.DeliveryLog(lane), 0, entries...)
			w.Publish(t, names.Jobs(lane), 0, make([]topology.Record, 50)...)
			for i := range int64(5) {
				id := fmt.Sprintf("done-%d", i)
				w.event(id)
				w.job(id, test.open+i)
				w.sent(id, test.open+i)
			}
			w.matched(test.open + 5)
			w.look()
			log := test.open + 10
			at, _ := w.position(names.Events(lane))
			read, _ := w.position(names.DeliveryLog(lane))
			if carried := at == test.open+5 && read == log; carried != test.carries || !carried && (at != 0 || read != 0) {
				t.Fatalf("the position is %d, of the log %d", at, read)
			}
			if test.carries { // the log tells of them no more
				w.delete(names.DeliveryLog(lane), log)
			}
			w.restart()
			w.look()
			w.restart() // and of the position that it wrote
			test.then(w)
			w.look()
			w.want(nil, test.lost...)
			if s := w.a.Stats(); s.Open != test.still || strings.Count(w.log.String(), "begins at the present") != 1 {
				t.Errorf("%d are open, want %d; the log: %s", s.Open, test.still, &w.log)
			}
		})
	}
}

// TestRun looks by itself, and goes on after an outage.
func TestRun(t *testing.T) {
	w := newWorld(t)
	w.restart()
	var failures atomic.Int64
	w.a.Log = zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, level zerolog.Level, _ string) {
		if level == zerolog.WarnLevel {
			failures.Add(1)
		}
	}))
	w.a.Every, w.a.Topics.Patience = time.Millisecond, time.Millisecond
	fixtures.Run(t, func(ctx context.Context) { w.a.Run(ctx, func() {}) })
	w.event("a")
	w.matched(1)
	lost := func() int64 { s := w.a.Stats(); return s.Unaccounted(topology.RoleMatch) }
	fixtures.Eventually(t, "the loss is noticed", func() bool { return lost() == 1 })
	w.Sleep()
	fixtures.Eventually(t, "it says that it cannot look", func() bool { return failures.Load() > 0 })
	w.Wake()
	w.event("b")
	w.matched(2)
	fixtures.Eventually(t, "the next is noticed", func() bool { return lost() == 2 })
	if noticed := w.a.Stats().Noticed; noticed <= 0 || noticed > time.Minute {
		t.Errorf("noticed after %v", noticed)
	}
}
