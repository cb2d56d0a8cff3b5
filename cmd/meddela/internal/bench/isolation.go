package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// What the streams of Isolation are made of.
const (
	slowAnswer   = 2 * time.Second
	mailRate     = 100 // real-time e-mails a second
	codeRate     = 2   // real-time text messages a second, to the slow provider
	slowAtOnce   = 20  // messages that the slow provider takes at once, of all processes
	slowReserve  = 0.5
	isolationGap = 5 * time.Second
)

// Isolation measures how long real-time messages take, first alone, and then
// while a batch floods the slow provider of a channel, and while real-time
// messages of that channel pile up as well.
func (b *Bench) Isolation(ctx context.Context, flood int, d time.Duration) (*Isolation, error) {
	provider, err := startStandIn(map[string]time.Duration{"/slow": slowAnswer})
	if err != nil {
		return nil, err
	}
	defer provider.close()
	environment, remove, err := b.providersFile(fmt.Sprintf(`providers:
  - name: quick
    channels: [email]
    kind: http
    concurrency: 32
    http: {url: "%s/quick", body: '{"to":{{ json .To }}}', allow_private: true}
  - name: slow
    channels: [sms]
    kind: http
    concurrency: 32
    limit: {concurrency: %d, reserve: %v}
    http: {url: "%s/slow", body: '{"to":{{ json .To }}}', allow_private: true}
`, provider.url, slowAtOnce, slowReserve, provider.url))
	if err != nil {
		return nil, err
	}
	defer remove()
	c := &crew{Bench: b, names: b.names("isolation"), keys: b.keys("isolation"), environment: environment}
	result := &Isolation{Flood: flood}
	err = c.isolate(ctx, provider, result, d)
	return result, errors.Join(err, c.dismiss())
}

func (c *crew) isolate(ctx context.Context, provider *standIn, result *Isolation, d time.Duration) error {
	if err := c.createThose(ctx, c.names, func(topology.Topic) bool { return true }); err != nil {
		return err
	}
	for _, l := range topology.Lanes() {
		for _, role := range topology.Roles() {
			c.groups = append(c.groups, c.names.Groups(role, l)...)
			if role == topology.RoleStatus {
				continue
			}
			if err := c.hire(role, l); err != nil {
				return err
			}
		}
	}
	if err := c.publishTemplates(ctx, c.names); err != nil {
		return err
	}
	warming := &streams{crew: c, provider: provider}
	if _, err := warming.run(ctx, warmUp, codeRate); err != nil {
		return err
	}
	for _, step := range []struct {
		name  string
		codes float64
		flood int
	}{
		{"alone", codeRate, 0},
		{"while a batch floods the slow provider", codeRate, result.Flood},
		{"and real-time messages for it pile up", 4 * slowAtOnce, 0},
	} {
		if step.flood > 0 {
			if err := c.floodWith(ctx, step.flood); err != nil {
				return err
			}
			if err := sleep(ctx, isolationGap); err != nil {
				return err
			}
		}
		c.Progress("isolation: %s, %v", step.name, d)
		s := &streams{crew: c, provider: provider}
		seen, err := s.run(ctx, d, step.codes)
		if err != nil {
			return err
		}
		seen.Name = step.name
		result.Steps = append(result.Steps, seen)
	}
	return nil
}

// floodWith publishes a batch of text messages.
func (c *crew) floodWith(ctx context.Context, n int) error {
	return c.fill(ctx, c.names.Events(topology.Batch), n, func(_, _ int) topology.Record {
		r, _ := textEvent("appointment_reminder", `{"appointment":{"start":"2026-12-01T14:30:00+01:00","place":"Hamngatan 12"}}`)
		return r
	})
}

func textEvent(kind, ctx string) (topology.Record, topology.JobID) {
	event := topology.Event{
		ID: topology.EventID(ulid.Make().String()), Type: kind, Channel: topology.SMS, To: "+46700000123", Ctx: []byte(ctx),
	}
	return topology.Record{Key: []byte(event.ID), Value: event.Append(nil)}, topology.JobIDOf(event.ID, 0)
}

// streams publishes real-time e-mails and text messages at steady rates.
type streams struct {
	*crew
	provider *standIn
}

// run publishes for as long as said, waits until the e-mails are sent, and for
// the text messages that were published in time to be.
func (s *streams) run(ctx context.Context, d time.Duration, codes float64) (IsolationStep, error) {
	to, err := producer.New(producer.Config{Connection: s.Kafka, Prefix: s.names.Prefix})
	if err != nil {
		return IsolationStep{}, err
	}
	defer to.Close()
	var mails, texts []due
	var both errgroup.Group
	number := 0
	both.Go(func() (err error) {
		mails, err = s.stream(ctx, to, mailRate, d, func() (topology.Record, topology.JobID) {
			number++
			event := topology.Event{
				ID: topology.EventID(ulid.Make().String()), Type: eventType, Channel: topology.Email,
				To: "customer." + strconv.Itoa(number) + "@example.com", Ctx: order(number),
			}
			return topology.Record{Key: []byte(event.ID), Value: event.Append(nil)}, topology.JobIDOf(event.ID, 0)
		})
		return err
	})
	both.Go(func() (err error) {
		texts, err = s.stream(ctx, to, codes, d, func() (topology.Record, topology.JobID) {
			return textEvent("one_time_code", `{"code":"004211"}`)
		})
		return err
	})
	if err := both.Wait(); err != nil {
		return IsolationStep{}, err
	}
	if err := s.await(ctx, mails); err != nil {
		return IsolationStep{}, err
	}
	if codes <= codeRate {
		if err := s.await(ctx, texts); err != nil {
			return IsolationStep{}, err
		}
	}
	step := IsolationStep{Mails: s.latencies(mails), Texts: s.latencies(texts)}
	if codes > codeRate {
		step.Texts = nil // they wait for the provider, and for nobody else
	}
	return step, nil
}

// stream publishes one event after the other by a timetable.
func (s *streams) stream(
	ctx context.Context, to *producer.Producer, rate float64, d time.Duration, make func() (topology.Record, topology.JobID),
) ([]due, error) {
	start := time.Now()
	var published []due
	var calls errgroup.Group
	calls.SetLimit(callsAtOnce)
	for i := range int(rate * d.Seconds()) {
		at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if err := sleep(ctx, time.Until(at)); err != nil {
			return nil, err
		}
		r, job := make()
		published = append(published, due{job, at})
		calls.Go(func() error {
			_, err := to.PublishRecords(ctx, lane, []topology.Record{r})
			return err
		})
	}
	return published, calls.Wait()
}

// await waits until the provider was handed all of some messages.
func (s *streams) await(ctx context.Context, list []due) error {
	since := time.Now()
	for i, d := range list {
		for s.provider.firstAt(d.job).IsZero() {
			if time.Since(since) > time.Minute {
				return fmt.Errorf("message %d of %d was not sent within a minute", i+1, len(list))
			}
			if err := errors.Join(s.check(), sleep(ctx, 10*time.Millisecond)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *streams) latencies(list []due) *Latencies {
	var all []float64
	for _, d := range list {
		if at := s.provider.firstAt(d.job); !at.IsZero() {
			all = append(all, float64(at.Sub(d.at))/float64(time.Millisecond))
		}
	}
	return &Latencies{Messages: len(all), P50: quantile(all, 0.5), P99: quantile(all, 0.99), Most: quantile(all, 1)}
}

// Latencies are from when an event was due to be published until the provider
// had its message, in ms.
type Latencies struct {
	Messages int     `json:"messages"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Most     float64 `json:"most_ms"`
}

// Isolation is how long real-time messages took, by what else went on.
type Isolation struct {
	Flood int             `json:"flood"`
	Steps []IsolationStep `json:"steps"`
}

// IsolationStep is what one step has shown. Texts go to the slow provider; nil
// where they are more than it takes.
type IsolationStep struct {
	Name  string     `json:"name"`
	Mails *Latencies `json:"email"`
	Texts *Latencies `json:"sms,omitempty"`
}

// Tables implements Result.
func (r *Isolation) Tables() []Table {
	t := Table{
		Title: fmt.Sprintf("isolation: %d real-time e-mails and %d text messages a second; the text messages' provider takes %v for each and %d at once, half of them reserved; the flood is %s text messages on the batch lane",
			mailRate, codeRate, slowAnswer, slowAtOnce, whole(float64(r.Flood))),
		Columns: []string{"real-time messages, until the provider has them", "email p50 ms", "p99", "most", "sms p50 ms", "p99", "most"},
	}
	for _, s := range r.Steps {
		row := []string{s.Name, oneDigit(s.Mails.P50), oneDigit(s.Mails.P99), oneDigit(s.Mails.Most), "-", "-", "-"}
		if s.Texts != nil {
			row = append(row[:4], oneDigit(s.Texts.P50), oneDigit(s.Texts.P99), oneDigit(s.Texts.Most))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(r.Steps) == 3 {
		alone, flooded, piled := r.Steps[0], r.Steps[1], r.Steps[2]
		t.Verdicts = []Verdict{
			{
				Text: fmt.Sprintf("e-mail p99 at %.1f and %.1f times what it is alone; the goal is 2, or 100 ms", flooded.Mails.P99/alone.Mails.P99, piled.Mails.P99/alone.Mails.P99),
				Met:  withinOf(alone.Mails, flooded.Mails) && withinOf(alone.Mails, piled.Mails),
			},
			{
				Text: fmt.Sprintf("real-time text messages p99 at %.1f times under the flood; the goal is 2, or 100 ms", flooded.Texts.P99/alone.Texts.P99),
				Met:  withinOf(alone.Texts, flooded.Texts),
			},
		}
	}
	return []Table{t}
}

// withinOf tells whether one is not much slower than the other.
func withinOf(alone, beside *Latencies) bool { return beside.P99 <= max(2*alone.P99, 100) }
