package refold

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

const (
	partitions = 2
	lane       = topology.Realtime
	ttl        = 30 * 24 * time.Hour
)

var (
	names = topology.Topics{Prefix: "t."}
	keys  = topology.Keys{Prefix: "t*:"} // which is no pattern
	now   = time.UnixMilli(time.Now().UnixMilli()).UTC()
)

// world is topics, what role status would have written of them, and an operator's hands.
type world struct {
	*fixtures.Kafka
	t      *testing.T
	client *redis.Client
	topics *scan.Topics
	store  *status.Store
	live   bool // role status writes what is published
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, live: true, Kafka: fixtures.StartKafka(t, embedded.BrokerConfig{RetainBytes: 1 << 30})}
	w.CreateLanes(t, names, partitions)
	store, err := embedded.StartStore(embedded.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.client = redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = w.client.Close() })
	w.store = &status.Store{Client: w.client, Keys: keys, TTL: ttl}
	w.topics = &scan.Topics{Addr: w.Link.Addr(), Transport: w.Transport, Patience: 20 * time.Second}
	return w
}

// write publishes a record, and writes what it says.
func (w *world) write(topic topology.Topic, partition int, r topology.Record) topology.State {
	w.t.Helper()
	kept, err := w.topics.Kept(fixtures.Soon(w.t), topic, partition)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Time.IsZero() {
		r.Time = now
	}
	w.Publish(w.t, topic, partition, r)
	r.Topic, r.Partition, r.Offset = topic, partition, kept[0].To
	state := status.StateOf(names, &r)
	if w.live && state.Status != "" {
		w.hold(state)
	}
	return state
}

// hold has Redis hold a state too.
func (w *world) hold(s topology.State) {
	w.t.Helper()
	if err := w.store.Write(fixtures.Soon(w.t), []topology.State{s}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) event(id string, partition int) topology.State {
	at := now
	if id == "no-entry" {
		at = now.Add(-61 * time.Minute)
	}
	return w.write(names.Events(lane), partition, topology.Record{Time: at,
		Value: fmt.Appendf(nil, `{"id":%q,"type":"order","scheduled":%q,"ctx":{}}`, id, at.Format(topology.TimeFormat))})
}

// entry is one about the event of that id.
func entry(id string, s topology.Status, reason topology.Reason, at time.Time) topology.Entry {
	attempt := 1
	if s == topology.NotCovered {
		attempt = 0
	}
	return topology.Entry{EventID: topology.EventID(id), Lane: lane, Attempt: attempt, Status: s, Reason: reason, At: at,
		Type: "order", Channel: topology.Email, Template: "order@1", Detail: "550 no"}
}

func (w *world) log(partition int, e topology.Entry) topology.State {
	at := e.At
	if at.After(now) {
		at = now
	}
	return w.write(names.DeliveryLog(lane), partition, topology.Record{Time: at, Value: e.Append(nil)})
}

// sent is an event that went all the way.
func (w *world) sent(id string) topology.State {
	s := w.event(id, 0)
	waits, sent := entry(id, topology.PendingDelivery, "", now), entry(id, topology.Sent, "", now.Add(time.Second))
	waits.Source, sent.Source = s.Source, s.Source
	waits.ReceivedAt, sent.ReceivedAt = now, now
	for _, e := range []topology.Entry{waits, sent} {
		said := w.log(0, e)
		s.Merge(&said)
	}
	return s
}

// commit has role status be done with all that there is now.
func (w *world) commit() {
	w.t.Helper()
	for _, l := range topology.Lanes() {
		commits := map[string][]kafka.OffsetCommit{}
		for _, topic := range names.Reads(topology.RoleStatus, l) {
			kept, err := w.topics.Kept(fixtures.Soon(w.t), topic, 0, 1)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, k := range kept {
				commits[string(topic)] = append(commits[string(topic)], kafka.OffsetCommit{Partition: k.Partition, Offset: k.To})
			}
		}
		answer, err := w.Client.OffsetCommit(fixtures.Soon(w.t), &kafka.OffsetCommitRequest{
			GroupID: names.Group(topology.RoleStatus, l), GenerationID: -1, Topics: commits})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, partitions := range answer.Topics {
			for _, p := range partitions {
				if p.Error != nil {
					w.t.Fatal(p.Error)
				}
			}
		}
	}
}

func (w *world) all() Log { return Log{Topics: w.topics, Names: names, Lanes: topology.Lanes()} }

func (w *world) verifier() *Verifier {
	return &Verifier{Log: w.all(), Reader: status.Reader{Client: w.client, Keys: keys}, TTL: ttl, Overdue: time.Hour,
		Memory: 1 << 20, Examples: 1000, Progress: new(scan.Progress)}
}

func (w *world) verify(v *Verifier, ids ...topology.EventID) *Report {
	w.t.Helper()
	report, err := v.Verify(fixtures.Soon(w.t), ids)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// found are the causes of all events that are examples.
func found(r *Report) map[string]Cause {
	all := make(map[string]Cause)
	for _, e := range r.Examples {
		all[string(e.ID)] = e.Cause
	}
	return all
}

func (w *world) do(args ...any) {
	w.t.Helper()
	if err := w.client.Do(fixtures.Soon(w.t), args...).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// faults are what may be wrong, each with an event of its own.
var faults = []struct {
	id    string
	cause Cause
	make  func(w *world, id, key string)
}{
	{"no-entry", Unlogged, func(w *world, id, _ string) { // of all else the topics keep the time
		w.event(id, 0)
		w.job(id, now.Add(-61*time.Minute))
	}},
	{"no-end", Unlogged, func(w *world, id, _ string) { // but one of role match, which the job outlives
		w.job(id, now.Add(-61*time.Minute))
		w.log(0, entry(id, topology.NotCovered, topology.ReasonConditionsFalse, now.Add(-60*time.Minute)))
	}},
	{"not-due", "", func(w *world, id, _ string) {
		w.event(id, 0)
		w.job(id, now.Add(-61*time.Minute))
		w.log(0, entry(id, topology.NotCovered, topology.ReasonConditionsFalse, now.Add(-60*time.Minute)))
	}},
	{"lost", Missing, func(w *world, id, key string) { w.sent(id); w.do("del", key) }},
	{"lost-pending", Missing, func(w *world, id, key string) { w.event(id, 1); w.do("del", key) }},
	{"behind", Older, func(w *world, id, key string) {
		s := w.sent(id)
		w.do("del", key)
		s = topology.State{EventID: s.EventID}
		said := topology.StateOf(&topology.Entry{EventID: s.EventID, Status: topology.Pending, At: now})
		w.hold(said)
	}},
	{"other-status", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "status", "pending") }},
	{"other-detail", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "detail", "all is well") }},
	{"no-detail", Different, func(w *world, id, key string) { w.sent(id); w.do("hdel", key, "detail") }},
	{"greater-type", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "type", "z") }},
	{"lesser-type", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "type", "a") }},
	{"sooner", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "pending_at", now.UnixMilli()-1) }},
	{"not-sooner", Different, func(w *world, id, key string) { w.sent(id); w.do("hdel", key, "pending_at") }},
	{"other-schedule", Different, func(w *world, id, key string) {
		w.sent(id)
		w.do("hset", key, "scheduled_at", now.UnixMilli()+1)
	}},
	{"other-end", Different, func(w *world, id, key string) {
		w.sent(id)
		w.do("hset", key, "final_at", now.UnixMilli()-1)
	}},
	{"no-final", Different, func(w *world, id, key string) { w.sent(id); w.do("hdel", key, "final_at") }},
	{"ended-too-soon", Different, func(w *world, id, key string) {
		w.event(id, 0)
		w.do("hset", key, "final_at", now.UnixMilli())
	}},
	{"no-rank", Different, func(w *world, id, key string) { w.sent(id); w.do("hdel", key, "rank") }},
	{"no-hash", Different, func(w *world, id, key string) { w.sent(id); w.do("del", key); w.do("set", key, "x") }},
	{"no-number", Different, func(w *world, id, key string) { w.sent(id); w.do("hset", key, "attempt", "x") }},
	{"ahead", Newer, func(w *world, id, _ string) {
		w.sent(id)
		e := entry(id, topology.DeliveryError, topology.ReasonBounced, now.Add(time.Minute))
		w.hold(topology.StateOf(&e))
	}},
	{"nowhere", Unknown, func(w *world, id, _ string) {
		e := entry(id, topology.Sent, "", now)
		w.hold(topology.StateOf(&e))
	}},
	{"nothing", Different, func(w *world, _, key string) { w.do("hset", key, "colour", "red") }},
	{"stuck", Overdue, func(w *world, id, _ string) {
		w.log(0, entry(id, topology.PendingDelivery, "", now.Add(-2*time.Hour)))
	}},
	{"tries-on", "", func(w *world, id, _ string) {
		w.log(0, entry(id, topology.PendingDelivery, topology.ReasonTransient, now.Add(-2*time.Hour)))
	}},
	{"tries-on-in-days", "", func(w *world, id, _ string) {
		e := entry(id, topology.PendingDelivery, topology.ReasonTransient, now.Add(-30*time.Hour))
		e.Due = now.Add(10 * time.Hour)
		w.log(0, e)
	}},
	{"was-due", Overdue, func(w *world, id, _ string) {
		e := entry(id, topology.PendingDelivery, topology.ReasonTransient, now.Add(-60*time.Hour))
		e.Due = now.Add(-30 * time.Hour)
		w.log(0, e)
	}},
	{"paused", "", func(w *world, id, _ string) {
		w.log(0, entry(id, topology.PendingDelivery, topology.ReasonPaused, now.Add(-200*time.Hour)))
	}},
	{"just-matched", "", func(w *world, id, _ string) { w.event(id, 0); w.job(id, now) }},
	{"forgotten", "", func(w *world, id, key string) {
		w.log(0, entry(id, topology.Sent, "", now.Add(-ttl-time.Hour)))
		w.do("del", key)
	}},
	{"well", "", func(w *world, id, _ string) { w.sent(id) }},
	{"foreign-field", "", func(w *world, id, key string) { w.sent(id); w.do("hset", key, "colour", "red") }},
	{"twice", "", func(w *world, id, _ string) { w.sent(id); w.event(id, 1) }},
}

func (w *world) job(id string, at time.Time) {
	w.write(names.Jobs(lane), 0, topology.Record{Time: at, Key: []byte(id), Value: jobOf(id).Append(nil)})
}

func jobOf(id string) *topology.Job {
	return &topology.Job{JobID: topology.JobIDOf(topology.EventID(id), 0), EventID: topology.EventID(id), Lane: lane,
		Attempt: 1, Template: "order@1", Type: "order", Channel: topology.Email, Event: []byte(`{}`)}
}

// damaged makes all faults.
func damaged(w *world) (want map[string]Cause) {
	want = make(map[string]Cause)
	for _, f := range faults {
		f.make(w, f.id, keys.Event(topology.EventID(f.id)))
		if f.cause != "" {
			want[f.id] = f.cause
		}
	}
	w.commit()
	return want
}

// TestCauses: each fault is named, alone or among all, in one pass or in many, and nothing else is.
func TestCauses(t *testing.T) {
	w := newWorld(t)
	want := damaged(w)
	for i := range 300 {
		w.sent(fmt.Sprintf("bulk-%d", i))
	}
	w.commit()
	for name, v := range map[string]*Verifier{"in one pass": w.verifier(), "in many": w.verifier()} {
		if name == "in many" {
			v.Memory = 1
		}
		report := w.verify(v)
		if got := found(report); !maps.Equal(got, want) {
			t.Errorf("%s: found\n%v, want\n%v", name, got, want)
		}
		if n := int64(300 + len(faults)); report.Events != n || report.Behind != 0 || report.Lost != 0 {
			t.Errorf("%s: %+v of %d events", name, report, n)
		}
		if many := report.Passes > 1; many != (name == "in many") {
			t.Errorf("%s: %d passes", name, report.Passes)
		}
		if report.Causes[Expired] != 1 || report.Differ != int64(len(want)-2) { // Overdue is no difference
			t.Errorf("%s: %d expired, %d differ", name, report.Causes[Expired], report.Differ)
		}
	}
	for _, f := range faults {
		if got := found(w.verify(w.verifier(), topology.EventID(f.id)))[f.id]; got != f.cause {
			t.Errorf("%s alone: %q, want %q", f.id, got, f.cause)
		}
	}
	for name, restrict := range map[string]func(*Verifier){
		"one lane":       func(v *Verifier) { v.Lanes = []topology.Lane{lane} },
		"one partition":  func(v *Verifier) { v.Partitions = []int{0} },
		"the last hours": func(v *Verifier) { v.Since = now.Add(-24 * time.Hour) },
	} {
		v := w.verifier()
		restrict(v)
		want := maps.Clone(want)
		delete(want, "nowhere") // and no-hash are not known to be of a part
		delete(want, "nothing")
		if name == "one partition" {
			delete(want, "lost-pending")
		}
		if got := found(w.verify(v)); !maps.Equal(got, want) {
			t.Errorf("%s: found\n%v, want\n%v", name, got, want)
		}
	}
}

// TestMoving: what role status has not read yet, or reads meanwhile, is no difference.
func TestMoving(t *testing.T) {
	w := newWorld(t)
	w.sent("a")
	w.commit()
	w.log(0, entry("a", topology.DeliveryError, topology.ReasonBounced, now.Add(time.Minute))) // written, not committed
	w.live = false
	w.sent("b") // neither
	report := w.verify(w.verifier())
	if report.Differ != 0 || report.Events != 1 || report.Behind != 4 {
		t.Errorf("%+v", report)
	}
	v := w.verifier()
	v.Wait = time.Hour
	ctx, cancel := context.WithCancel(fixtures.Soon(t))
	defer cancel()
	ended := make(chan *Report)
	go func() {
		report, _ := v.Verify(ctx, nil)
		ended <- report
	}()
	w.live = true
	w.sent("c")
	w.commit()
	if report = <-ended; report.Behind != 0 || !maps.Equal(found(report), map[string]Cause{"b": Missing}) {
		t.Errorf("after the commit: %+v", report)
	}
}

// TestElection: of a partition whose leader is being chosen nothing is taken to have been read, and it is asked again.
func TestElection(t *testing.T) {
	for name, row := range map[string]struct {
		times  int // that it is asked for without an answer
		wait   time.Duration
		behind int64
		want   map[string]Cause
	}{
		"for long": {-1, 0, 3, map[string]Cause{}},
		"passing":  {3, time.Hour, 0, map[string]Cause{"a": Older}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sent("a")
			w.live = false
			w.log(0, entry("a", topology.DeliveryError, topology.ReasonBounced, now.Add(time.Minute)))
			w.commit()
			v := w.verifier()
			v.Wait, v.Topics.Transport = row.wait, &election{w.Transport, row.times}
			if report := w.verify(v); report.Behind != row.behind || !maps.Equal(found(report), row.want) {
				t.Errorf("%+v, want %v and %d behind", report, row.want, row.behind)
			}
		})
	}
}

// election has the first of the delivery log's partitions without a leader, as often as the measurement asks for it.
type election struct {
	kafka.RoundTripper
	times int
}

func (e *election) RoundTrip(ctx context.Context, to net.Addr, r kafka.Request) (kafka.Response, error) {
	answer, err := e.RoundTripper.RoundTrip(ctx, to, r)
	if asked, ok := r.(*listoffsets.Request); !ok || err != nil || len(asked.Topics) < 2 || e.times == 0 {
		return answer, err
	}
	e.times--
	for _, topic := range answer.(*listoffsets.Response).Topics {
		for i := range topic.Partitions {
			if p := &topic.Partitions[i]; topic.Topic == string(names.DeliveryLog(lane)) && p.Partition == 0 {
				p.ErrorCode = int16(kafka.NotLeaderForPartition)
			}
		}
	}
	return answer, err
}

// TestJobsAhead: while role status is behind, jobs whose entries it has yet to read are not said to have none.
func TestJobsAhead(t *testing.T) {
	w := newWorld(t)
	w.event("no-entry", 0)
	w.commit()
	w.live = false
	w.event("new", 0)
	for _, id := range []string{"no-entry", "new"} {
		w.job(id, now.Add(-61*time.Minute))
		w.log(0, entry(id, topology.PendingDelivery, "", now.Add(-60*time.Minute)))
	}
	for name, ids := range map[string][]topology.EventID{"all": nil, "by name": {"no-entry", "new"}} {
		if report := w.verify(w.verifier(), ids...); report.Differ != 0 || report.Behind != 3 || report.Events != 2 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// TestCopyOfALostKey: what Redis has of a later copy alone is older, however it is asked for.
func TestCopyOfALostKey(t *testing.T) {
	w := newWorld(t)
	at := now.Add(-5 * time.Hour)
	first := w.write(names.Events(lane), 0, topology.Record{Time: at, Value: []byte(`{"id":"e","type":"order","ctx":{}}`)})
	e := entry("e", topology.Sent, "", at.Add(time.Minute))
	e.Attempt, e.Source = 2, first.Source
	want := w.log(0, e)
	w.do("del", keys.Event("e"))
	w.event("e", 1)
	w.commit()
	for name, ids := range map[string][]topology.EventID{"all": nil, "by name": {"e"}} {
		if got := found(w.verify(w.verifier(), ids...)); !maps.Equal(got, map[string]Cause{"e": Older}) {
			t.Errorf("%s: found %v, want it older", name, got)
		}
	}
	v := w.verifier()
	v.Mend = w.rebuilder().Mend(true)
	w.verify(v)
	reader := status.Reader{Client: w.client, Keys: keys}
	if got, _, err := reader.Get(fixtures.Soon(t), "e"); err != nil || got.Rank != want.Rank {
		t.Errorf("mended, Redis has %+v, %v; want rank %s", got, err, want.Rank)
	}
}

// keep sets the retention.ms of a topic.
func (w *world) keep(topic topology.Topic, retention string) {
	w.t.Helper()
	settings := kafka.AlterConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: string(topic),
		Configs: []kafka.AlterConfigRequestConfig{{Name: "retention.ms", Value: retention}}}
	if _, err := w.Client.AlterConfigs(fixtures.Soon(w.t), &kafka.AlterConfigsRequest{
		Resources: []kafka.AlterConfigRequestResource{settings}}); err != nil {
		w.t.Fatal(err)
	}
}

// TestIdlePartition: one that its retention has emptied hides nothing that is younger than that, and else it is told.
func TestIdlePartition(t *testing.T) {
	log := names.DeliveryLog(lane)
	for retention, want := range map[string]Cause{"604800000": Newer, "600000": Emptied, "-1": Emptied} {
		w := newWorld(t)
		w.keep(log, retention)
		w.sent("e")
		ahead := entry("e", topology.DeliveryError, topology.ReasonBounced, now.Add(time.Minute))
		w.hold(topology.StateOf(&ahead))
		w.write(log, 1, topology.Record{Value: []byte("x")})
		if err := w.Cluster.DeleteRecords(string(log), 1, 1); err != nil {
			t.Fatal(err)
		}
		w.commit()
		if report := w.verify(w.verifier()); report.Causes[want] != 1 {
			t.Errorf("retention.ms=%s: %+v, want %s", retention, report, want)
		}
	}
}

// TestRetained: of what the topics do not keep any more nothing can be said.
func TestRetained(t *testing.T) {
	w := newWorld(t)
	w.sent("old")
	e := entry("older", topology.Sent, "", now.Add(-time.Minute))
	w.hold(topology.StateOf(&e))
	for _, topic := range names.Reads(topology.RoleStatus, lane) {
		w.keep(topic, "-1")
		kept, err := w.topics.Kept(fixtures.Soon(t), topic, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Cluster.DeleteRecords(string(topic), 0, kept[0].To); err != nil {
			t.Fatal(err)
		}
	}
	w.commit()
	report := w.verify(w.verifier())
	if report.Causes[Retained] != 1 || report.Causes[Emptied] != 1 || report.Events != 2 {
		t.Errorf("%+v", report)
	}
}

func (w *world) rebuilder() *Rebuilder {
	return &Rebuilder{Log: w.all(), Store: w.store, Memory: 1 << 20, Progress: new(scan.Progress)}
}

func (w *world) hashes() map[string]map[string]string {
	w.t.Helper()
	all := make(map[string]map[string]string)
	for _, key := range w.client.Keys(fixtures.Soon(w.t), `t\**`).Val() {
		all[key] = w.client.HGetAll(fixtures.Soon(w.t), key).Val()
	}
	return all
}

// TestNotKept: what the topics do not keep all of is neither held against Redis nor taken from it, and what they have
// lost of before it began does not matter.
func TestNotKept(t *testing.T) {
	w := newWorld(t)
	forged := func(id string, partition int) {
		s := w.event(id, partition)
		s.EventID += "-forged"
		w.hold(s)
	}
	for _, id := range []string{"gone", "gone-damaged", "half", "rest"} {
		w.sent(id)
	}
	forged("well", 1)
	forged("gone-too", 0)
	w.event("kept", 0)
	w.do("hset", keys.Event("gone-damaged"), "status", "pending") // of which the topics keep no trace
	w.do("hset", keys.Event("half"), "status", "pending")         // of which they keep the last word
	for topic, to := range map[topology.Topic]int64{names.Events(lane): 5, names.DeliveryLog(lane): 5} {
		if err := w.Cluster.DeleteRecords(string(topic), 0, to); err != nil {
			t.Fatal(err)
		}
	}
	w.live = false
	w.write(names.Redrive(lane), 1, topology.Record{Value: []byte("x")}) // of a topic that is empty again
	if err := w.Cluster.DeleteRecords(string(names.Redrive(lane)), 1, 1); err != nil {
		t.Fatal(err)
	}
	w.commit()
	want := map[string]Cause{"gone-damaged": Different, "half": Different, "well-forged": Unknown}
	report := w.verify(w.verifier())
	if got := found(report); !maps.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	before := w.hashes()
	v := w.verifier()
	v.Mend = w.rebuilder().Mend(true)
	w.verify(v)
	delete(before, keys.Event("well-forged"))
	if after := w.hashes(); !maps.EqualFunc(after, before, maps.Equal) {
		t.Errorf("replacing, Redis has %v, want %v", after, before)
	}
}

// TestNothingIsTaken of which the topics do not keep everything, wherever that was.
func TestNothingIsTaken(t *testing.T) {
	log, of := names.DeliveryLog(lane), func(s topology.State) *topology.Entry {
		e := entry("e", topology.DeliveryError, topology.ReasonBounced, now.Add(time.Second))
		e.Source, e.Lane = s.Source, cmp.Or(s.Lane, lane)
		return &e
	}
	for name, row := range map[string]struct {
		first topology.Topic // that the event is on
		log   topology.Topic // that loses an entry of its partition 1
		of    func(w *world) *topology.Entry
		later bool // that has another since
	}{
		"of a copy on another partition": {names.Events(lane), log,
			func(w *world) *topology.Entry { return of(w.event("e", 1)) }, true},
		"of a copy on the other lane": {names.Events(topology.Batch), log,
			func(w *world) *topology.Entry { return of(w.event("e", 1)) }, true},
		"a receipt without a source": {names.Events(lane), log,
			func(*world) *topology.Entry { return of(topology.State{}) }, true},
		"of a partition that is empty again": {names.Events(lane), log,
			func(*world) *topology.Entry { return of(topology.State{}) }, false},
		"of a log that was made anew": {names.Events(lane), "",
			func(*world) *topology.Entry { return of(topology.State{}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.keep(log, "-1")
			w.write(row.first, 0, topology.Record{Value: []byte(`{"id":"e","type":"order","ctx":{}}`)})
			e := row.of(w)
			if w.hold(topology.StateOf(e)); row.log != "" {
				w.write(row.log, 1, topology.Record{Value: e.Append(nil)})
				if row.later {
					w.write(row.log, 1, topology.Record{Time: now.Add(time.Minute), Value: []byte("x")})
				}
				if err := w.Cluster.DeleteRecords(string(row.log), 1, 1); err != nil {
					t.Fatal(err)
				}
			}
			w.commit()
			before, v := w.hashes(), w.verifier()
			v.Mend = w.rebuilder().Mend(true)
			if report := w.verify(v); report.Causes[Retained]+report.Causes[Emptied] != 1 {
				t.Errorf("%v, want it retained", report.Causes)
			}
			if after := w.hashes(); !maps.EqualFunc(after, before, maps.Equal) {
				t.Errorf("replacing, Redis has %v, want %v", after, before)
			}
		})
	}
}

// TestManyUnknown: what only Redis has takes passes too, and is counted once however often SCAN returns it.
func TestManyUnknown(t *testing.T) {
	w := newWorld(t)
	w.sent("a")
	var forged []topology.State
	for i := range 450 {
		e := entry(fmt.Sprint("forged-", i), topology.Sent, "", now)
		forged = append(forged, topology.StateOf(&e))
	}
	if err := w.store.Write(fixtures.Soon(t), forged); err != nil {
		t.Fatal(err)
	}
	w.commit()
	w.client.AddHook(twice{})
	v := w.verifier()
	v.Memory = 1 // room for 100
	report := w.verify(v)
	if report.Causes[Unknown] != 450 || report.Events != 451 || report.Passes < 5 {
		t.Errorf("%+v", report)
	}
}

// twice has SCAN return each key twice.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		err := next(ctx, c)
		if scan, ok := c.(*redis.ScanCmd); ok {
			keys, cursor := scan.Val()
			scan.SetVal(append(keys, keys...), cursor)
		}
		return err
	}
}

// TestPartitionsThatAreNot are refused.
func TestPartitionsThatAreNot(t *testing.T) {
	w := newWorld(t)
	for p, want := range map[int]string{
		0: "<nil>", 1: "<nil>", -1: "there is no partition -1: choose from 0 to 1",
		2: "there is no partition 2: choose from 0 to 1",
	} {
		log := w.all()
		log.Partitions = []int{0, p}
		if err := log.Check(fixtures.Soon(t)); fmt.Sprint(err) != want {
			t.Errorf("%d: %v, want %s", p, err, want)
		}
	}
}

// TestRebuild: merging mends what Redis lacks, replacing all else but what is not about Redis.
func TestRebuild(t *testing.T) {
	w := newWorld(t)
	want := damaged(w)
	b := w.rebuilder()
	if err := b.Rebuild(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(want, func(id string, c Cause) bool {
		return c == Missing || c == Older || slices.Contains([]string{"lesser-type", "not-sooner", "no-rank", "no-hash"}, id)
	})
	if got := found(w.verify(w.verifier())); !maps.Equal(got, want) {
		t.Errorf("after it, found\n%v, want\n%v", got, want)
	}
	v := w.verifier()
	v.Mend = b.Mend(true)
	if got := found(w.verify(v)); !maps.Equal(got, want) {
		t.Errorf("replacing, found\n%v, want\n%v", got, want)
	}
	// What is not about Redis is left, and what is of a time that is not known.
	left := map[string]Cause{"no-entry": Unlogged, "no-end": Unlogged, "stuck": Overdue, "was-due": Overdue,
		"nothing": Different}
	if got := found(w.verify(w.verifier())); !maps.Equal(got, left) {
		t.Errorf("after replacing, found\n%v, want\n%v", got, left)
	}
	// Into an empty place comes the same.
	beside := w.rebuilder()
	beside.Store = &status.Store{Client: w.client, Keys: topology.Keys{Prefix: "green:"}, TTL: ttl}
	if err := beside.Rebuild(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	for key, hash := range w.hashes() {
		if delete(hash, "colour"); len(hash) == 0 {
			continue
		}
		green := w.client.HGetAll(fixtures.Soon(t), "green:"+key[len(keys.Prefix):]).Val()
		if !maps.Equal(green, hash) {
			t.Errorf("%s beside: %v, want %v", key, green, hash)
		}
	}
}

// TestAnyOrder: however a rebuild cuts the records, and whatever Redis has of them, Redis holds their fold.
func TestAnyOrder(t *testing.T) {
	w := newWorld(t)
	w.live = false
	want := make(folds)
	statuses := topology.Statuses()
	rapid.Check(t, func(r *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(r, "records") {
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "id")
			at := rapid.IntRange(0, partitions-1).Draw(r, "partition")
			var said topology.State
			if rapid.Bool().Draw(r, "of an event") {
				said = w.event(id, at)
			} else {
				e := entry(id, rapid.SampledFrom(statuses).Draw(r, "status"), topology.ReasonBounced,
					now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(r, "seconds"))*time.Second))
				e.Attempt = rapid.IntRange(0, 2).Draw(r, "attempt")
				said = w.log(at, e)
			}
			want.add(new(topology.Record), &said)
			if rapid.Bool().Draw(r, "Redis has it") {
				w.hold(said)
			} else if rapid.Bool().Draw(r, "Redis loses all") {
				w.do("flushall")
			}
		}
		b := w.rebuilder()
		b.Memory = 2 * EventBytes * int64(rapid.IntRange(1, 20).Draw(r, "records at a time"))
		if err := b.Rebuild(fixtures.Soon(t)); err != nil {
			r.Fatal(err)
		}
		for id, f := range want {
			reader := status.Reader{Client: w.client, Keys: keys}
			if got, _, err := reader.Get(fixtures.Soon(t), id); err != nil || got != f.State {
				r.Fatalf("Redis has\n%+v, %v; want\n%+v", got, err, f.State)
			}
		}
	})
}

// TestBytes: an event takes about what is said of it.
func TestBytes(t *testing.T) {
	const events = 20_000
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, known := heap(), make(folds)
	for i := range events {
		id := fmt.Sprintf("01JD8Q3Z5X6P7R8S9T0V%06d", i)
		e := entry(id, topology.Sent, "", now)
		e.Source, e.ReceivedAt = topology.SourceOf(names.Events(lane), 3, int64(i)), now
		e.JobID = topology.JobIDOf(e.EventID, 0)
		e.Provider, e.ProviderMessageID = "smtp", "<"+id+"@mail.example.com>"
		value := topology.Record{Value: fmt.Appendf(nil, `{"id":%q,"type":"order","email":"kim@example.com","ctx":{"number":"%0200d"}}`, id, i)}
		for _, r := range []topology.Record{
			{Topic: names.Events(lane), Value: value.Value, Time: now}, {Topic: names.DeliveryLog(lane), Value: e.Append(nil)},
		} {
			s := status.StateOf(names, &r)
			known.add(&r, &s)
		}
	}
	each := (heap() - before) / events
	runtime.KeepAlive(known)
	if each > EventBytes || each < EventBytes/2 {
		t.Errorf("an event takes %d bytes; it is said to be %d", each, EventBytes)
	}
}

// TestGoesOn: what was stopped goes on where it was, and a different one does not.
func TestGoesOn(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.sent(fmt.Sprint("e-", i))
	}
	want := w.hashes()
	w.do("flushall")
	b := w.rebuilder()
	b.Of = "all"
	ranges, err := b.ranges(fixtures.Soon(t), func(topology.Lane) []topology.Topic { return nil })
	if err != nil {
		t.Fatal(err)
	}
	b.half(t, ranges)
	for _, of := range []string{"all", "another"} {
		again := w.rebuilder()
		again.Of = of
		if err := again.Rebuild(fixtures.Soon(t)); err != nil {
			t.Fatal(err)
		}
		before := map[string]int64{"all": b.Progress.Done.Load()}[of]
		if again.Before != before || again.Records != 30-before || before == 30 {
			t.Errorf("%s: %+v, want %d before", of, again.Rebuilt, before)
		}
		if got := w.hashes(); !maps.EqualFunc(got, want, maps.Equal) {
			t.Errorf("%s: Redis has %v, want %v", of, got, want)
		}
	}
}

// half does the later half of a rebuild, as if it was killed then.
func (b *Rebuilder) half(t *testing.T, ranges []scan.Range) {
	t.Helper()
	half, known := scan.Latest(ranges, 16), make(folds)
	if err := b.each(fixtures.Soon(t), half, b.Progress, known.add); err != nil {
		t.Fatal(err)
	}
	for i := range ranges {
		ranges[i].To = half[i].From
	}
	if err := b.write(fixtures.Soon(t), known, ranges); err != nil {
		t.Fatal(err)
	}
}

// TestGoesOnOnACluster, but not when one of its servers has lost what it had.
func TestGoesOnOnACluster(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.sent(fmt.Sprint("e-", i))
	}
	servers := []*miniredis.Miniredis{miniredis.RunT(t), miniredis.RunT(t)}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: servers[0].Addr()}}},
				{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: servers[1].Addr()}}}}, nil
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	w.store = &status.Store{Client: client, Keys: keys, TTL: ttl}
	for lost := range len(servers) + 1 { // the last is none
		b := w.rebuilder()
		ranges, err := b.ranges(fixtures.Soon(t), func(topology.Lane) []topology.Topic { return nil })
		if err != nil {
			t.Fatal(err)
		}
		b.half(t, ranges)
		before := b.Progress.Done.Load()
		if lost < len(servers) {
			servers[lost].FlushAll()
			before = 0
		}
		again := w.rebuilder()
		if err := again.Rebuild(fixtures.Soon(t)); err != nil || again.Before != before {
			t.Errorf("after server %d lost all: %+v, %v, want %d before", lost, again.Rebuilt, err, before)
		}
		if keys := append(servers[0].Keys(), servers[1].Keys()...); len(keys) != 10 {
			t.Errorf("after server %d lost all, there is %v", lost, keys)
		}
	}
}

// TestHistory tells every record about an event, and what it made at any time.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	w.sent("other")
	s := w.sent("a")
	w.job("a", now)
	w.write(names.Paused(lane), 0, topology.Record{Key: []byte("a"), Time: now, Value: jobOf("a").Append(nil)})
	failed := entry("a", topology.DeliveryError, topology.ReasonBounced, now.Add(time.Minute))
	failed.Provider = "smtp"
	said := w.log(0, failed)
	s.Merge(&said)
	log := w.all()
	for name, known := range map[string]topology.State{"known to Redis": s, "not known": {}} {
		h, err := log.HistoryOf(fixtures.Soon(t), "a", &known, time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		words := make(map[string]string)
		for _, step := range h.Steps {
			words[string(step.Record)] = step.Words
		}
		if known.Source == "" && len(h.Steps) == 0 {
			continue // its id chooses the other partition, of which it says that it has read it
		}
		want := map[string]string{
			"t.realtime.events/0/1":       "received: type order, channel email, redrive 0",
			"t.realtime.jobs/0/0":         "job: template order@1 in , attempt 1",
			"t.realtime.delay.paused/0/0": "held until it is resumed: attempt 1",
			"t.realtime.delivery-log/0/2": "Pending delivery: attempt 1, redrive 0 order@1 550 no",
			"t.realtime.delivery-log/0/3": "Sent: attempt 1, redrive 0 order@1 550 no",
			"t.realtime.delivery-log/0/4": "Delivery error: attempt 1, redrive 0 bounced order@1 smtp 550 no",
		}
		if !maps.Equal(words, want) || h.State == nil || *h.State != s {
			t.Errorf("%s: %v\nwant %v\nstate %+v\nwant  %+v", name, words, want, h.State, s)
		}
		for at, want := range map[time.Time]topology.Status{
			now: topology.PendingDelivery, now.Add(time.Second): topology.Sent, now.Add(time.Hour): topology.DeliveryError,
		} {
			if h, err = log.HistoryOf(fixtures.Soon(t), "a", &known, at, nil); err != nil || h.State.Status != want {
				t.Errorf("%s: at %s %+v, %v; want %s", name, at, h.State, err, want)
			}
		}
	}
	if err := w.Cluster.DeleteRecords(string(names.Events(lane)), 0, 2); err != nil {
		t.Fatal(err)
	}
	h, err := log.HistoryOf(fixtures.Soon(t), "a", &s, time.Time{}, nil)
	if err != nil || len(h.Steps) != 5 {
		t.Errorf("after the event was removed: %+v, %v", h, err)
	}
}
