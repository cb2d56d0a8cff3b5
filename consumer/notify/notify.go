// Package notify is the role that tells other systems what became of events: of
// each entry of the delivery log that a webhook asks for it makes one signed
// HTTP request. A notice that cannot be handed over waits on the delay topics and
// is tried again, so that a receiver that is away holds up no other.
package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// Webhook is a receiver of notices.
type Webhook struct {
	Name, URL    string
	Types        []string          // of events that it is told about; none for all
	Statuses     []topology.Status // that it is told; none for those that an event can end with
	Secrets      []outbound.Secret // that its notices are signed with
	Timeout      time.Duration     // of a request; default 5 s
	AllowPrivate bool              // lets it have an address that is not public

	url     *url.URL
	slots   *semaphore.Weighted
	client  *outbound.Client
	signer  outbound.Signer
	breaker *gobreaker.TwoStepCircuitBreaker[any]
}

// Waits are how long a notice waits before each further try.
func Waits() []time.Duration {
	return []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}
}

const (
	// atOnce is how many requests a receiver has side by side.
	atOnce = 16
	// patience is how long a batch goes on to begin requests. No receiver waits longer for another one, but for the
	// answers that are under way then.
	patience = 2 * time.Second
	// Breaker: so many failures in a row, and a receiver is not asked for so long.
	mostFailures = 5
	openFor      = 10 * time.Second
)

// Headers of a record on the notices topic, beside those of delay topics.
const (
	HeaderWebhook = "x-webhook"
	HeaderTries   = "x-tries"
)

// Handler is the notify role of one lane.
type Handler struct {
	Lane  topology.Lane
	Names topology.Topics
	Log   zerolog.Logger
	// Sent, Retried and Failed count notices.
	Sent, Retried, Failed atomic.Int64

	webhooks []Webhook
}

// New makes a Handler, or says what is wrong with a webhook.
func New(lane topology.Lane, names topology.Topics, log zerolog.Logger, webhooks []Webhook) (*Handler, error) {
	h := &Handler{Lane: lane, Names: names, Log: log, webhooks: slices.Clone(webhooks)}
	for i := range h.webhooks {
		if err := h.webhooks[i].open(); err != nil {
			return nil, errors.New("webhook " + h.webhooks[i].Name + ": " + err.Error())
		}
	}
	return h, nil
}

func (w *Webhook) open() (err error) {
	w.Timeout = cmp.Or(max(w.Timeout, 0), 5*time.Second)
	if w.url, err = outbound.ParseURL(w.URL); err != nil {
		return err
	}
	if w.signer, err = outbound.NewSigner(w.Secrets...); err != nil {
		return err
	}
	w.slots = semaphore.NewWeighted(atOnce)
	w.client = outbound.New(outbound.Config{AllowPrivate: w.AllowPrivate, MaxConns: atOnce})
	w.breaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name: w.Name, Timeout: openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= mostFailures },
	})
	return nil
}

// Close closes the connections that are not in use.
func (h *Handler) Close() {
	for i := range h.webhooks {
		h.webhooks[i].client.Close()
	}
}

// notice is one entry for one receiver.
type notice struct {
	record *topology.Record
	at     int // the record's place in its batch
	entry  topology.Entry
	to     *Webhook
	tries  int // before this one
	done   bool
	out    *topology.Record
}

// Handle hands over the notices of a batch. Those that fail are put off, and those of
// a slow receiver where another one would wait; alone, it gets the first of them.
func (h *Handler) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	var notices []*notice
	for i := range b.Records {
		for _, n := range h.noticesOf(&b.Records[i]) {
			n.at = i
			notices = append(notices, n)
		}
	}
	var result consumer.Result
	for result.Handled == 0 && ctx.Err() == nil {
		consumer.Alive(ctx)
		h.tell(ctx, notices)
		result.Handled = len(b.Records)
		if i := slices.IndexFunc(notices, func(n *notice) bool { return !n.done }); i >= 0 {
			result.Handled = notices[i].at
		}
	}
	for _, n := range notices {
		if n.at < result.Handled && n.out != nil {
			result.Out = append(result.Out, *n.out)
		}
	}
	return result, ctx.Err() // what is not handled is read again
}

// tell tells each receiver for itself.
func (h *Handler) tell(ctx context.Context, notices []*notice) {
	begin, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	for i := range h.webhooks {
		all.Go(func() {
			for _, n := range notices {
				switch w := &h.webhooks[i]; {
				case n.to != w || n.done:
				case w.slots.Acquire(begin, 1) == nil:
					all.Go(func() { defer w.slots.Release(1); h.hand(ctx, n) })
				case len(h.webhooks) > 1 && ctx.Err() == nil:
					h.putOff(n, n.tries, Waits()[1])
				}
			}
		})
	}
	all.Wait()
}

// noticesOf are those of a record: of the delivery log for each receiver that
// asks for it, of the notices topic for the one that it names.
func (h *Handler) noticesOf(r *topology.Record) (notices []*notice) {
	entry, err := topology.DecodeEntry(r.Value)
	if err != nil {
		return nil // the status role keeps it as a dead letter
	}
	if r.Topic == h.Names.Notices(h.Lane) {
		name, _ := r.Header(HeaderWebhook)
		text, _ := r.Header(HeaderTries)
		tries, _ := strconv.Atoi(string(text))
		tries = min(max(tries, 0), len(Waits())) // whatever the header says
		for i := range h.webhooks {
			if w := &h.webhooks[i]; w.Name == string(name) {
				return []*notice{{record: r, entry: entry, to: w, tries: tries}}
			}
		}
		return nil // the receiver is not configured any more
	}
	for i := range h.webhooks {
		if w := &h.webhooks[i]; w.wants(&entry) {
			notices = append(notices, &notice{record: r, entry: entry, to: w})
		}
	}
	return notices
}

func (w *Webhook) wants(e *topology.Entry) bool {
	isTold := slices.Contains(w.Statuses, e.Status) || len(w.Statuses) == 0 && e.Status.Final()
	return isTold && (len(w.Types) == 0 || slices.Contains(w.Types, e.Type))
}

// hand hands a notice over, or puts it off, or gives it up.
func (h *Handler) hand(ctx context.Context, n *notice) {
	detail, wait := "the receiver has failed several times in a row, and its circuit breaker is open", time.Duration(0)
	if report, err := n.to.breaker.Allow(); err == nil {
		var answered bool
		detail, wait, answered = n.to.post(ctx, &n.entry)
		if detail == "" || answered {
			report(nil) // it is there, whatever it thinks of this notice
		} else {
			report(errors.New(detail))
		}
		if detail == "" {
			h.Sent.Add(1)
			n.done = true
			return
		}
	}
	switch waits := Waits(); {
	case ctx.Err() != nil: // which may be why
	case n.tries < len(waits):
		h.putOff(n, n.tries+1, max(waits[n.tries], wait))
	default:
		h.Failed.Add(1)
		letter := h.Names.DeadLetter(h.Lane, n.record, &topology.Fault{
			Reason: topology.ReasonNoticeFailed, Detail: "webhook " + n.to.Name + ": " + detail,
		}, topology.RoleNotify, time.Now())
		n.out, n.done = &letter, true
	}
}

// putOff has a notice come again after a while.
func (h *Handler) putOff(n *notice, tries int, wait time.Duration) {
	h.Retried.Add(1)
	now := time.Now()
	next := h.Names.Delayed(h.Lane, topology.Record{
		Topic: h.Names.Notices(h.Lane), Key: n.record.Key, Value: n.record.Value,
		Headers: append(topology.CarriedByEntries(n.record.Headers),
			topology.Header{Key: HeaderWebhook, Value: []byte(n.to.Name)},
			topology.Header{Key: HeaderTries, Value: strconv.AppendInt(nil, int64(tries), 10)}),
	}, now.Add(wait), now)
	n.out, n.done = &next, true
}

// post makes the request, and says why the receiver does not have the notice, how long
// it asks to wait, and whether it is at work; nothing if it has it.
func (w *Webhook) post(ctx context.Context, e *topology.Entry) (failure string, wait time.Duration, answered bool) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	id := idOf(e)
	body := []byte(`{"specversion":"1.0","type":"meddela.status","source":"meddela","datacontenttype":"application/json",`)
	body = append(append(body, `"id":"`...), id...)
	body = append(body, `","time":"`...)
	body = e.At.UTC().AppendFormat(body, topology.TimeFormat)
	body = append(body, `","data":`...)
	body = append(e.Append(body), '}')
	header := http.Header{"Content-Type": {"application/cloudevents+json"}, "Idempotency-Key": {id}}
	w.signer.Sign(header, id, body, time.Now())
	answer, err := w.client.Do(ctx, &outbound.Request{URL: w.url, Header: header, Body: body})
	switch {
	case err != nil:
		return err.Error(), 0, false
	case answer.Status/100 != 2:
		return "the receiver answered " + strconv.Itoa(answer.Status), outbound.RetryAfter(answer.Header, time.Now()),
			answer.Status < 500
	}
	return "", 0, true
}

// idOf is a notice's id: the same whenever the same is told again, so that a receiver
// can tell.
func idOf(e *topology.Entry) string {
	text := fmt.Sprintf("%s\t%d\t%d\t%s\t%s\t%s", e.EventID, e.Redrives, e.Attempt, e.Status, e.Reason, e.Detail)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
