package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var names = topology.Topics{Prefix: topology.DefaultPrefix}

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// receiver keeps what it is told, and answers as it is told to.
type receiver struct {
	url string

	delay time.Duration // of each answer

	mu     sync.Mutex
	status int
	wait   string // Retry-After
	bodies []string
	heads  []http.Header
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusNoContent}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		time.Sleep(r.delay)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.heads = append(r.bodies, string(body)), append(r.heads, request.Header)
		if r.wait != "" {
			w.Header().Set("Retry-After", r.wait)
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func handler(t *testing.T, webhooks ...Webhook) *Handler {
	t.Helper()
	for i := range webhooks {
		webhooks[i].AllowPrivate = true
	}
	h, err := New(topology.Realtime, names, zerolog.Nop(), webhooks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func entry(id, kind string, status topology.Status) topology.Record {
	e := topology.Entry{
		EventID: topology.EventID(id), JobID: "j-1", Lane: topology.Realtime, Attempt: 1, Status: status, Type: kind,
		Channel: topology.Email, At: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC),
	}
	if status == topology.DeliveryError {
		e.Reason = topology.ReasonProviderRejected
	}
	return topology.Record{Topic: names.DeliveryLog(topology.Realtime), Key: []byte(id), Value: e.Append(nil)}
}

func handle(t *testing.T, h *Handler, records ...topology.Record) []topology.Record {
	t.Helper()
	result, err := h.Handle(t.Context(), consumer.Batch{Topic: records[0].Topic, Records: records})
	if err != nil || result.Handled != len(records) {
		t.Fatalf("handled %d of %d, %v", result.Handled, len(records), err)
	}
	return result.Out
}

// TestWhoIsToldWhat: each receiver what it asks for, once, signed so that anybody
// can check it.
func TestWhoIsToldWhat(t *testing.T) {
	all, orders := newReceiver(t), newReceiver(t)
	h := handler(t,
		Webhook{Name: "all", URL: all.url, Secrets: []outbound.Secret{outbound.Fixed(secret)}},
		Webhook{Name: "orders", URL: orders.url, Types: []string{"order"},
			Statuses: []topology.Status{topology.PendingDelivery, topology.DeliveryError}},
	)
	out := handle(t, h,
		entry("e-1", "order", topology.PendingDelivery), entry("e-1", "order", topology.Sent),
		entry("e-2", "order", topology.DeliveryError),
		entry("e-3", "code", topology.DeliveryError), topology.Record{Topic: names.DeliveryLog(topology.Realtime),
			Value: []byte("no entry")},
	)
	if len(out) != 0 || len(all.bodies) != 3 || len(orders.bodies) != 2 || h.Sent.Load() != 5 {
		t.Fatalf("%d outputs, %d and %d told", len(out), len(all.bodies), len(orders.bodies))
	}
	for i, body := range all.bodies {
		var event struct {
			SpecVersion, ID, Source, Type, Time string
			Data                                struct {
				EventID string `json:"event_id"`
				Status  string
			}
		}
		if err := json.Unmarshal([]byte(body), &event); err != nil {
			t.Fatal(err)
		}
		head := all.heads[i]
		if event.SpecVersion != "1.0" || event.Time != "2026-12-01T08:00:00.000Z" || event.Data.EventID == "" ||
			head.Get("Idempotency-Key") != event.ID ||
			head.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("%s %v", body, head)
		}
		receiver, err := webhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.Verify([]byte(body), head); err != nil || head.Get("webhook-id") != event.ID {
			t.Errorf("%v, %v", head, err)
		}
	}
}

// TestAReceiverThatIsAway is told later, again and again, and in the end its
// notice is a dead letter; another receiver does not notice.
func TestAReceiverThatIsAway(t *testing.T) {
	away, there := newReceiver(t), newReceiver(t)
	away.answer(http.StatusServiceUnavailable)
	h := handler(t, Webhook{Name: "away", URL: away.url}, Webhook{Name: "there", URL: there.url})
	out := handle(t, h, entry("e-1", "order", topology.Sent))
	for try, wait := range Waits() {
		if len(out) != 1 || out[0].Topic != names.Delay(topology.Realtime, topology.TierFor(wait)) {
			t.Fatalf("try %d: %+v", try, out)
		}
		target, _ := out[0].Header(topology.HeaderTarget)
		if topology.Topic(target) != names.Notices(topology.Realtime) {
			t.Fatalf("try %d: it goes to %s", try, target)
		}
		next := out[0]
		next.Topic = names.Notices(topology.Realtime)
		out = handle(t, h, next)
	}
	if len(out) != 1 || out[0].Topic != names.DeadLetters(topology.Realtime) || h.Failed.Load() != 1 {
		t.Fatalf("in the end: %+v", out)
	}
	reason, _ := out[0].Header(topology.HeaderReason)
	if string(reason) != string(topology.ReasonNoticeFailed) || len(there.bodies) != 1 ||
		len(away.bodies) > mostFailures+1 {
		t.Errorf("reason %s, %d and %d told", reason, len(there.bodies), len(away.bodies))
	}
}

// TestRetryAfter: a receiver that says when to come back is not told again before, nor sooner than is usual.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		tries  int
		least  time.Duration
	}{
		{429, "120", 0, 2 * time.Minute}, {503, "120", 0, 2 * time.Minute}, {429, "120", 2, Waits()[2]},
		{429, "3", 0, Waits()[0]},
		{429, "", 0, Waits()[0]}, {503, "soon", 0, Waits()[0]}, {429, "86400", 0, time.Hour},
		{429, time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat), 0, 9 * time.Minute},
	} {
		r := newReceiver(t)
		r.answer(c.status)
		r.wait = c.text
		notice := entry("e-1", "order", topology.Sent)
		notice.Topic = names.Notices(topology.Realtime)
		notice.Headers = []topology.Header{{Key: HeaderWebhook, Value: []byte("crm")},
			{Key: HeaderTries, Value: strconv.AppendInt(nil, int64(c.tries), 10)}}
		began := time.Now()
		out := handle(t, handler(t, Webhook{Name: "crm", URL: r.url}), notice)
		if len(out) != 1 {
			t.Fatalf("%d %s: %+v", c.status, c.text, out)
		}
		text, _ := out[0].Header(topology.HeaderDue)
		due, err := time.Parse(topology.TimeFormat, string(text))
		if wait := due.Sub(began); err != nil || wait < c.least-time.Second || wait > c.least+2*time.Minute {
			t.Errorf("%d %q after %d tries: told again after %v, want %v, %v", c.status, c.text, c.tries, wait, c.least, err)
		}
	}
}

// TestRefusedNotices: a receiver that refuses some is told the others.
func TestRefusedNotices(t *testing.T) {
	r := newReceiver(t)
	h := handler(t, Webhook{Name: "crm", URL: r.url})
	r.answer(http.StatusUnprocessableEntity)
	for i := range 2 * mostFailures {
		handle(t, h, entry(strconv.Itoa(i), "order", topology.Sent))
	}
	r.answer(http.StatusOK)
	if out := handle(t, h, entry("e-1", "order", topology.Sent)); len(out) != 0 {
		t.Errorf("put off: %+v", out)
	}
}

// TestSlowReceiver takes its time to say yes. No other waits for it for longer than patience
// and one answer, what it is not asked in time costs it no try, and nobody is told twice.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	slow, fast := newReceiver(t), newReceiver(t)
	slow.delay = 1500 * time.Millisecond
	h := handler(t, Webhook{Name: "slow", URL: slow.url}, Webhook{Name: "fast", URL: fast.url})
	var records []topology.Record
	for i := range 200 { // which would take the slow one 19 s
		records = append(records, entry("e-"+strconv.Itoa(i), "order", topology.Sent))
	}
	began := time.Now()
	out := handle(t, h, records...)
	if took := time.Since(began); took > patience+slow.delay+4*time.Second {
		t.Errorf("it took %v", took)
	}
	if told := len(slow.bodies); len(fast.bodies) != 200 || told < atOnce || told == 200 || len(out) != 200-told {
		t.Errorf("told %d and %d, %d put off", len(slow.bodies), len(fast.bodies), len(out))
	}
	for _, r := range out {
		to, _ := r.Header(HeaderWebhook)
		tries, _ := r.Header(HeaderTries)
		if r.Topic != names.Delay(topology.Realtime, topology.TierFor(Waits()[1])) || string(to) != "slow" ||
			string(tries) != "0" {
			t.Fatalf("%+v", r)
		}
	}
}

// TestSlowReceiverAlone gets what it has time for, and hands back that, so that a restart repeats
// no more; batches that it has no time for at all wait for those before.
func TestSlowReceiverAlone(t *testing.T) {
	t.Parallel()
	slow := newReceiver(t)
	slow.delay = patience + 500*time.Millisecond
	h := handler(t, Webhook{Name: "slow", URL: slow.url})
	var batches sync.WaitGroup
	var handled atomic.Int64
	for i := range 2 {
		batches.Go(func() {
			var records []topology.Record
			for j := range 100 {
				records = append(records, entry(strconv.Itoa(i*100+j), "order", topology.Sent))
			}
			result, err := h.Handle(t.Context(), consumer.Batch{Records: records})
			if err != nil || result.Handled == 0 || result.Handled == 100 || len(result.Out) > 0 {
				t.Errorf("handled %d, %d outputs, %v", result.Handled, len(result.Out), err)
			}
			handled.Add(int64(result.Handled))
		})
	}
	batches.Wait()
	if int(handled.Load()) != len(slow.bodies) {
		t.Errorf("%d handled, %d told", handled.Load(), len(slow.bodies))
	}
}

// TestTriesOfAnySize: who writes a header can neither crash the role nor have a notice
// tried for ever.
func TestTriesOfAnySize(t *testing.T) {
	r := newReceiver(t)
	r.answer(http.StatusServiceUnavailable)
	for tries, want := range map[string]topology.Topic{
		"-1": names.Delay(topology.Realtime, topology.TierFor(Waits()[0])), "999999": names.DeadLetters(topology.Realtime),
		"99999999999999999999": names.DeadLetters(topology.Realtime), "-99999999999999999999": names.Delay(topology.Realtime,
			topology.TierFor(Waits()[0])),
	} {
		notice := entry("e-1", "order", topology.Sent)
		notice.Topic = names.Notices(topology.Realtime)
		notice.Headers = []topology.Header{{Key: HeaderWebhook, Value: []byte("crm")},
			{Key: HeaderTries, Value: []byte(tries)}}
		if out := handle(t, handler(t, Webhook{Name: "crm", URL: r.url}), notice); len(out) != 1 || out[0].Topic != want {
			t.Errorf("%s: %+v", tries, out)
		}
	}
}

// TestBack: what waits for a receiver is handed over when it is back, under the
// same id.
func TestBack(t *testing.T) {
	r := newReceiver(t)
	r.answer(http.StatusBadGateway)
	h := handler(t, Webhook{Name: "crm", URL: r.url})
	out := handle(t, h, entry("e-1", "order", topology.Sent))
	r.answer(http.StatusOK)
	out[0].Topic = names.Notices(topology.Realtime)
	if out = handle(t, h, out[0]); len(out) != 0 || len(r.heads) != 2 {
		t.Fatalf("%d outputs, %d told", len(out), len(r.heads))
	}
	if a, b := r.heads[0].Get("Idempotency-Key"), r.heads[1].Get("Idempotency-Key"); a != b || a == "" {
		t.Errorf("the ids are %s and %s", a, b)
	}
	gone := handler(t, Webhook{Name: "other", URL: r.url})
	stray := entry("e-1", "order", topology.Sent)
	stray.Topic = names.Notices(topology.Realtime)
	if out := handle(t, gone, stray); len(out) != 0 {
		t.Errorf("for a receiver that is not configured any more: %d outputs", len(out))
	}
}

// TestStopped: what was not handed over in time is read again.
func TestStopped(t *testing.T) {
	r := newReceiver(t)
	h := handler(t, Webhook{Name: "crm", URL: r.url})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, err := h.Handle(ctx,
		consumer.Batch{Records: []topology.Record{entry("e-1", "order", topology.Sent)}}); err == nil || result.Handled != 0 {
		t.Errorf("handled %d, %v", result.Handled, err)
	}
}

// TestStoppedMidway: what is done by then is handed back, so that it is not told again.
func TestStoppedMidway(t *testing.T) {
	r := newReceiver(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hangs := make(chan struct{})
	var h *Handler
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for h.Retried.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-hangs
	}))
	defer stuck.Close()
	defer close(hangs)
	r.answer(http.StatusBadGateway) // and its notice is put off before the other's
	h = handler(t, Webhook{Name: "crm", URL: r.url, Types: []string{"order"}},
		Webhook{Name: "stuck", URL: stuck.URL, Types: []string{"code"}})
	result, err := h.Handle(ctx, consumer.Batch{Records: []topology.Record{
		{Topic: names.DeliveryLog(topology.Realtime), Value: []byte("no entry")}, entry("e-1", "code", topology.Sent),
		entry("e-2", "order", topology.Sent),
	}})
	if err == nil || result.Handled != 1 || len(result.Out) != 0 {
		t.Errorf("handled %d, %d outputs, %v", result.Handled, len(result.Out), err)
	}
}

func TestBadWebhooks(t *testing.T) {
	for _, url := range []string{"", "crm.example.com", "ftp://crm.example.com/", "https://kim:secret@crm.example.com/"} {
		if _, err := New(topology.Realtime, names, zerolog.Nop(), []Webhook{{Name: "crm", URL: url}}); err == nil ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
