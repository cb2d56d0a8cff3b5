package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

// lateGoal is how late a scheduled message may be on a system at rest.
const lateGoal = time.Second

// Schedules publishes events that are due at random moments of a while, has
// roles restarted meanwhile, and looks at when the provider was handed each.
func (b *Bench) Schedules(ctx context.Context, events int, over time.Duration, restarts int) (*Schedules, error) {
	provider, err := startStandIn(nil)
	if err != nil {
		return nil, err
	}
	defer provider.close()
	environment, remove, err := b.providersFile(`providers:
  - name: stand-in
    channels: [email]
    kind: http
    concurrency: 32
    http: {url: "` + provider.url + `/messages", body: '{"to":{{ json .To }}}', allow_private: true}
`)
	if err != nil {
		return nil, err
	}
	defer remove()
	c := &crew{Bench: b, names: b.names("schedules"), keys: b.keys("schedules"), environment: environment}
	result := &Schedules{Events: events, Over: over.Seconds(), Restarts: restarts}
	err = c.keepSchedules(ctx, provider, result, over)
	return result, errors.Join(err, c.dismiss())
}

// due is when a job is due.
type due struct {
	job topology.JobID
	at  time.Time
}

func (c *crew) keepSchedules(ctx context.Context, provider *standIn, result *Schedules, over time.Duration) error {
	if err := c.createTopics(ctx, c.names); err != nil {
		return err
	}
	if err := c.publishTemplates(ctx, c.names); err != nil {
		return err
	}
	for _, role := range topology.Roles() {
		for range 2 {
			if err := c.hire(role, lane); err != nil {
				return err
			}
		}
	}
	const lead = 15 * time.Second
	start := time.Now().Add(lead)
	var mu sync.Mutex
	var dues []due
	err := c.fill(ctx, c.names.Events(lane), result.Events, func(_, _ int) topology.Record {
		mu.Lock()
		defer mu.Unlock()
		r, d := scheduledEvent(len(dues), start.Add(rand.N(over)))
		dues = append(dues, d)
		return r
	})
	if err != nil {
		return err
	}
	if err := c.restartOnTheWay(ctx, result, start, over); err != nil {
		return err
	}
	if err := c.awaitAccepted(ctx, provider, result.Events); err != nil {
		return err
	}
	result.judge(provider, dues)
	return nil
}

func scheduledEvent(number int, at time.Time) (topology.Record, due) {
	at = at.UTC().Truncate(time.Millisecond)
	event := topology.Event{
		ID: topology.EventID(ulid.Make().String()), Type: eventType, Channel: topology.Email,
		To: "customer." + strconv.Itoa(number) + "@example.com", Scheduled: at, Ctx: order(number),
	}
	return topology.Record{Key: []byte(event.ID), Value: event.Append(nil)}, due{topology.JobIDOf(event.ID, 0), at}
}

// restartOnTheWay restarts processes, each role in turn, at even distances: most
// are stopped as a roll-out does, every fourth is killed.
func (c *crew) restartOnTheWay(ctx context.Context, result *Schedules, start time.Time, over time.Duration) error {
	roles := []topology.Role{topology.RoleDelay, topology.RoleDeliver, topology.RoleMatch}
	for i := range result.Restarts {
		at := start.Add(over * time.Duration(i+1) / time.Duration(result.Restarts+1))
		for time.Now().Before(at) {
			c.Progress("%d of %d restarts; %v to go", i, result.Restarts, time.Until(start.Add(over)).Round(time.Second))
			if err := errors.Join(c.check(), sleep(ctx, min(time.Second, time.Until(at)))); err != nil {
				return err
			}
		}
		role := roles[i%len(roles)]
		if i%4 == 3 {
			if err := c.killOne(role); err != nil {
				return err
			}
			result.Killed++
			continue
		}
		if err := c.replaceOne(role); err != nil {
			return err
		}
	}
	return nil
}

// replaceOne stops the first process of a role and starts another.
func (c *crew) replaceOne(role topology.Role) error {
	for i, w := range c.workers {
		if w.role == role {
			c.workers = append(c.workers[:i], c.workers[i+1:]...)
			if err := w.stop(); err != nil {
				return err
			}
			return c.hire(w.role, w.lane)
		}
	}
	return fmt.Errorf("no process of %s runs", role)
}

// awaitAccepted waits until the provider was handed so many messages.
func (c *crew) awaitAccepted(ctx context.Context, provider *standIn, n int) error {
	last, since := 0, time.Now()
	for {
		accepted := provider.accepted()
		if accepted >= n {
			return nil
		}
		if accepted != last {
			last, since = accepted, time.Now()
		}
		if time.Since(since) > 2*time.Minute {
			return fmt.Errorf("%d of %d are sent, and for two minutes no other was", accepted, n)
		}
		c.Progress("%d of %d sent", accepted, n)
		if err := errors.Join(c.check(), sleep(ctx, 250*time.Millisecond)); err != nil {
			return err
		}
	}
}

// Schedules is how late scheduled messages were, in ms.
type Schedules struct {
	Events   int     `json:"events"`
	Over     float64 `json:"over_seconds"`
	Restarts int     `json:"restarts"`
	Killed   int     `json:"killed"` // of the restarts
	Early    int     `json:"early"`
	Again    int     `json:"again"` // handed over more than once
	P50      float64 `json:"p50_ms"`
	P90      float64 `json:"p90_ms"`
	P99      float64 `json:"p99_ms"`
	Most     float64 `json:"most_ms"`
	InGoal   float64 `json:"in_goal"` // the share that was at most a second late
}

func (s *Schedules) judge(provider *standIn, dues []due) {
	late := make([]float64, len(dues))
	inGoal := 0
	for i, d := range dues {
		by := provider.firstAt(d.job).Sub(d.at)
		if by < 0 {
			s.Early++
		}
		if by <= lateGoal {
			inGoal++
		}
		late[i] = float64(by) / float64(time.Millisecond)
	}
	_, s.Again = provider.counts()
	s.P50, s.P90, s.P99, s.Most = quantile(late, 0.5), quantile(late, 0.9), quantile(late, 0.99), quantile(late, 1)
	s.InGoal = float64(inGoal) / float64(len(dues))
}

// Tables implements Result.
func (s *Schedules) Tables() []Table {
	return []Table{{
		Title: fmt.Sprintf("schedules: %s events due over %.0f s, two processes a role, %d restarts on the way, %d of them kill -9",
			whole(float64(s.Events)), s.Over, s.Restarts, s.Killed),
		Columns: []string{"", "p50 ms", "p90 ms", "p99 ms", "most ms", "at most 1 s"},
		Rows: [][]string{{
			"late by", whole(s.P50), whole(s.P90), whole(s.P99), whole(s.Most), fmt.Sprintf("%.2f %%", 100*s.InGoal),
		}},
		Verdicts: []Verdict{
			{Text: fmt.Sprintf("%d early", s.Early), Met: s.Early == 0},
			{Text: fmt.Sprintf("p99 late by %.0f ms; at rest, without restarts, the goal is 1000", s.P99), Met: s.P99 <= 1000},
		},
	}}
}
