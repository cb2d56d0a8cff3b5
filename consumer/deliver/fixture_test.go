package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

func TestMain(m *testing.M) {
	redis.SetLogger(noLog{})
	goleak.VerifyTestMain(m)
}

// noLog is a logger for clients whose server is away on purpose.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

var names = topology.Topics{Prefix: topology.DefaultPrefix}

var keys = topology.Keys{Prefix: topology.DefaultKeyPrefix}

// fakeTemplate renders the event's id, or fails.
type fakeTemplate struct {
	hold    bool
	urgent  bool
	retries []time.Duration
	quiet   quiet.Hours
	renders func() // called first, if set
	err     error
	channel topology.Channel
}

func (f *fakeTemplate) Policy() *Policy {
	return &Policy{HoldAmbiguous: f.hold, Urgent: f.urgent, Retries: f.retries, Quiet: f.quiet}
}

func (f *fakeTemplate) Render(event *topology.Event, language string) (template.Message, error) {
	if f.renders != nil {
		f.renders()
	}
	if f.err != nil {
		return template.Message{}, f.err
	}
	return template.Message{
		Channel: f.channel, To: event.To, Language: language,
		Subject: "About " + string(event.ID), Text: "Dear reader",
	}, nil
}

// shelf is Templates out of a map. What is late is there once it has caught
// up.
type shelf struct {
	mu       sync.Mutex
	all      map[topology.TemplateRef]*fakeTemplate
	late     map[topology.TemplateRef]*fakeTemplate
	err      error
	caughtUp int

	unreadable string
}

func newShelf() *shelf {
	return &shelf{
		all: map[topology.TemplateRef]*fakeTemplate{
			"order@1": {channel: topology.Email},
			"hold@1":  {channel: topology.Email, hold: true},
			"code@1":  {channel: topology.SMS},
			"app@1":   {channel: topology.Push},
			"hook@1":  {channel: topology.Webhook},
			"missing@1": {err: &template.Error{Reason: topology.ReasonMissingData,
				Fault: template.Fault{Detail: "ctx.name is missing"}}},
			"broken@1": {err: errors.New("kim@example.com cannot be rendered")},
		},
		late: map[topology.TemplateRef]*fakeTemplate{"late@1": {channel: topology.Email}},
	}
}

func (s *shelf) Template(ref topology.TemplateRef) Template {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.all[ref]; ok {
		return t
	}
	return nil
}

func (s *shelf) Unreadable(ref string) bool { return ref == s.unreadable }

func (s *shelf) CatchUp(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.caughtUp++
	for ref, t := range s.late {
		s.all[ref] = t
	}
	return nil
}

// fakeProvider answers as it is told, and counts.
type fakeProvider struct {
	name        string
	concurrency int
	instant     bool
	script      []provider.Response // answers in turn, the last one for ever; accepted if empty
	answer      func(ctx context.Context, job *topology.Job) provider.Response

	mu       sync.Mutex
	to       []string // of all messages; none may go elsewhere than its job unless it is there before the first
	calls    []topology.JobID
	accepted map[topology.JobID]int
	now, top int // how many are at work, and were at most
}

func (p *fakeProvider) Name() string               { return p.name }
func (p *fakeProvider) Concurrency() int           { return p.concurrency }
func (p *fakeProvider) Instant(*topology.Job) bool { return p.instant }

func (p *fakeProvider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	if m.To != job.To && p.to == nil {
		panic("the message goes elsewhere than the job")
	}
	p.mu.Lock()
	p.to = append(p.to, m.To)
	p.calls = append(p.calls, job.JobID)
	call := len(p.calls) - 1
	p.now++
	p.top = max(p.top, p.now)
	p.mu.Unlock()
	answer := provider.Response{Verdict: provider.Accepted, MessageID: "fake-" + string(job.JobID)}
	if len(p.script) > 0 {
		answer = p.script[min(call, len(p.script)-1)]
	}
	if p.answer != nil {
		answer = p.answer(ctx, job)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	if answer.Verdict == provider.Accepted {
		if p.accepted == nil {
			p.accepted = make(map[topology.JobID]int)
		}
		p.accepted[job.JobID]++
	}
	return answer
}

func (p *fakeProvider) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// once fails unless each of n jobs was accepted exactly once.
func (p *fakeProvider) once(t testing.TB, n int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.accepted) != n {
		t.Errorf("%d jobs were accepted, want %d", len(p.accepted), n)
	}
	for id, times := range p.accepted {
		if times != 1 {
			t.Errorf("job %s was accepted %d times", id, times)
		}
	}
}

// world is a store, templates and a provider.
type world struct {
	store    *miniredis.Miniredis
	shelf    *shelf
	provider *fakeProvider
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{
		store:    miniredis.RunT(t),
		shelf:    newShelf(),
		provider: &fakeProvider{name: "fake", concurrency: 4},
	}
}

func (w *world) client(t testing.TB) redis.UniversalClient {
	client := redis.NewClient(&redis.Options{
		Addr: w.store.Addr(), MaxRetries: -1, DialTimeout: time.Second, DialerRetries: 1,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// handler makes a deliverer of this world, another process each time.
func (w *world) handler(t testing.TB, changes ...func(*Config)) *Handler {
	t.Helper()
	config := Config{
		Lane: topology.Realtime, Names: names, Keys: keys,
		Redis: w.client(t), Templates: w.shelf,
		Providers:     map[topology.Channel]provider.Provider{topology.Email: w.provider, topology.SMS: w.provider},
		TryAgainAfter: time.Millisecond,
	}
	for _, change := range changes {
		change(&config)
	}
	h, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// aJob makes the job of an event.
func aJob(id string, changes ...func(*topology.Job)) topology.Job {
	event := topology.EventID(id)
	job := topology.Job{
		JobID: topology.JobIDOf(event, 0), EventID: event, Lane: topology.Realtime, Attempt: 1,
		Template: "order@1", Type: "order", Channel: topology.Email, To: "kim@example.com", Language: "sv",
		ReceivedAt: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), Source: "meddela.realtime.events/3/7",
		Event: []byte(fmt.Sprintf(`{"id":%q,"type":"order","email":"kim@example.com","ctx":{"n":1}}`, id)),
	}
	for _, change := range changes {
		change(&job)
	}
	return job
}

func batchOf(jobs ...topology.Job) consumer.Batch {
	b := consumer.Batch{Topic: names.Jobs(topology.Realtime), Partition: 3}
	for i := range jobs {
		b.Records = append(b.Records, recordOf(int64(40+i), jobs[i].Append(nil)))
	}
	return b
}

func recordOf(offset int64, value []byte) topology.Record {
	return topology.Record{
		Topic: names.Jobs(topology.Realtime), Partition: 3, Offset: offset, Value: value, Key: []byte("key"),
		Headers: []topology.Header{
			{Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
			{Key: "other", Value: []byte("x")}},
	}
}

func manyJobs(n int, changes ...func(*topology.Job)) []topology.Job {
	jobs := make([]topology.Job, n)
	for i := range jobs {
		jobs[i] = aJob(fmt.Sprintf("event-%d", i), changes...)
	}
	return jobs
}

// handleAll handles a batch as the loop does: again for the rest, until it is
// done with or ctx ends.
func handleAll(ctx context.Context, t testing.TB, h *Handler, b consumer.Batch) []topology.Record {
	t.Helper()
	var out []topology.Record
	for len(b.Records) > 0 && ctx.Err() == nil {
		result, err := h.Handle(ctx, b)
		if result.Handled == 0 && err == nil {
			t.Fatal("neither handled a record nor said why")
		}
		out = append(out, result.Out...)
		b.Records = b.Records[result.Handled:]
		if err != nil {
			retry.Sleep(ctx, 5*time.Millisecond)
		}
	}
	return out
}

// entriesOf decodes outputs that must all be entries.
func entriesOf(t testing.TB, out []topology.Record) []topology.Entry {
	t.Helper()
	entries := make([]topology.Entry, len(out))
	for i, r := range out {
		if r.Topic != names.DeliveryLog(topology.Realtime) {
			t.Fatalf("output %d went to %s", i, r.Topic)
		}
		entry, err := topology.DecodeEntry(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != string(entry.EventID) {
			t.Errorf("the key is %s, the event %s", r.Key, entry.EventID)
		}
		if strings.Contains(string(r.Value), "kim@") {
			t.Errorf("the entry holds the address: %s", r.Value)
		}
		entries[i] = entry
	}
	return entries
}

// deliverOne handles one job and returns its entry.
func deliverOne(t testing.TB, h *Handler, job topology.Job) topology.Entry {
	t.Helper()
	result, err := h.Handle(t.Context(), batchOf(job))
	if err != nil || result.Handled != 1 {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	return entriesOf(t, result.Out)[0]
}
