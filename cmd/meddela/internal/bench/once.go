package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// onceLook is how often the bench looks at how far the work is.
const onceLook = 20 * time.Millisecond

// Once has workers deliver jobs while they are killed at random, has every batch
// delivered again, and counts what the provider was handed.
func (b *Bench) Once(ctx context.Context, jobs, kills, deliverers int) (*Once, error) {
	provider, err := startStandIn(map[string]time.Duration{"/messages": 2 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	defer provider.close()
	environment, remove, err := b.providersFile(`providers:
  - name: stand-in
    channels: [email]
    kind: http
    concurrency: 32
    http: {url: "` + provider.url + `/messages", body: '{"to":{{ json .To }},"subject":{{ json .Subject }}}', allow_private: true}
`)
	if err != nil {
		return nil, err
	}
	defer remove()
	c := &crew{
		Bench: b, names: b.names("once"), keys: b.keys("once"),
		environment: append(environment, "MEDDELA_LOOP_SESSION_TIMEOUT=6s", "MEDDELA_CLAIM_LEASE=11s"),
	}
	result := &Once{Jobs: jobs, Kills: kills, Deliverers: deliverers}
	err = c.deliverOnce(ctx, provider, result)
	return result, errors.Join(err, c.dismiss())
}

func (c *crew) deliverOnce(ctx context.Context, provider *standIn, result *Once) error {
	if err := c.createTopics(ctx, c.names); err != nil {
		return err
	}
	if err := c.publishTemplates(ctx, c.names); err != nil {
		return err
	}
	book, err := c.fillWithBook(ctx, result.Jobs)
	if err != nil {
		return err
	}
	for _, role := range []topology.Role{topology.RoleMatch, topology.RoleStatus, topology.RoleDelay} {
		if err := c.hire(role, lane); err != nil {
			return err
		}
	}
	for range result.Deliverers {
		if err := c.hire(topology.RoleDeliver, lane); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := c.killOnTheWay(ctx, provider, result.Jobs, result.Kills); err != nil {
		return err
	}
	jobs, group := c.names.Jobs(lane), c.names.DeliverGroup(lane, topology.Email)
	if err := c.awaitDone(ctx, group, jobs); err != nil {
		return err
	}
	result.Seconds = time.Since(began).Seconds()
	result.Accepted, result.Again = provider.counts()
	c.Progress("every batch is delivered again")
	if err := c.dismiss(topology.RoleDeliver); err != nil {
		return err
	}
	if err := c.rewind(ctx, group, jobs); err != nil {
		return err
	}
	if err := c.hire(topology.RoleDeliver, lane); err != nil {
		return err
	}
	if err := c.awaitDone(ctx, group, jobs); err != nil {
		return err
	}
	_, again := provider.counts()
	result.Redelivered = again - result.Again
	result.Ambiguous = int(c.ambiguous.Load())
	if err := c.awaitDone(ctx, c.names.Group(topology.RoleStatus, lane), c.names.DeliveryLog(lane)); err != nil {
		return err
	}
	c.Progress("looking at every event's status")
	return book.verify(ctx)
}

// fillWithBook publishes events and keeps a book of them.
func (c *crew) fillWithBook(ctx context.Context, n int) (*ledger, error) {
	book := newLedger(c.Redis, c.keys, c.Sizing.Partitions)
	var mu sync.Mutex
	number := 0
	err := c.fill(ctx, c.names.Events(lane), n, func(partition, _ int) topology.Record {
		mu.Lock()
		defer mu.Unlock()
		number++
		r := newEvent(number)
		book.partitions[partition] = append(book.partitions[partition], topology.EventID(r.Key))
		return r
	})
	return book, err
}

// killOnTheWay kills deliverers when random numbers of jobs are accepted, and
// now and then the matcher. It returns when all are accepted, or nothing has
// been for long.
func (c *crew) killOnTheWay(ctx context.Context, provider *standIn, jobs, kills int) error {
	marks := make([]int, kills)
	for i := range marks {
		marks[i] = jobs/100 + rand.IntN(jobs*97/100)
	}
	slices.Sort(marks)
	last, since, killed := 0, time.Now(), 0
	for {
		accepted := provider.accepted()
		if accepted != last {
			last, since = accepted, time.Now()
		}
		switch {
		case killed < kills && accepted >= marks[killed]:
			roles := []topology.Role{topology.RoleDeliver}
			if killed%10 == 9 {
				roles = []topology.Role{topology.RoleMatch}
			}
			if err := c.killOne(roles...); err != nil {
				return err
			}
			killed++
		case accepted >= jobs && killed == kills:
			return nil
		case time.Since(since) > 2*time.Minute:
			return fmt.Errorf("%d of %d jobs are accepted, and for two minutes no other was", accepted, jobs)
		}
		c.Progress("%d of %d jobs accepted, %d workers killed", accepted, jobs, killed)
		if err := errors.Join(c.check(), sleep(ctx, onceLook)); err != nil {
			return err
		}
	}
}

// awaitDone waits until a group has committed all of a topic.
func (c *crew) awaitDone(ctx context.Context, group string, topic topology.Topic) error {
	for {
		behind, err := c.behind(ctx, group, topic)
		if err != nil || behind == 0 {
			return err
		}
		c.Progress("%s is %d records behind", group, behind)
		if err := errors.Join(c.check(), sleep(ctx, 250*time.Millisecond)); err != nil {
			return err
		}
	}
}

// Once is what was counted.
type Once struct {
	Jobs       int     `json:"jobs"`
	Kills      int     `json:"kills"`
	Deliverers int     `json:"deliverers"`
	Seconds    float64 `json:"seconds"`
	// Accepted is how many jobs the provider has accepted at least once.
	Accepted int `json:"accepted"`
	// Again is how often it was handed one again.
	Again int `json:"again"`
	// Ambiguous is how many the deliverers counted as such.
	Ambiguous int `json:"ambiguous"`
	// Redelivered is how often it was handed one again when every batch was
	// delivered once more.
	Redelivered int `json:"redelivered"`
}

// Tables implements Result.
func (o *Once) Tables() []Table {
	return []Table{{
		Title: fmt.Sprintf("once: %s jobs, %d deliverers, killed with kill -9 %d times on the way (every tenth time the matcher); then every batch was read again",
			whole(float64(o.Jobs)), o.Deliverers, o.Kills),
		Columns: []string{"", "jobs"},
		Rows: [][]string{
			{"accepted by the provider, which honours the idempotency key", whole(float64(o.Accepted))},
			{"handed over again: accepted twice by one that does not", whole(float64(o.Again))},
			{"counted as ambiguous by the deliverers", whole(float64(o.Ambiguous))},
			{"handed over again when every batch was read again", whole(float64(o.Redelivered))},
			{"seconds until all were accepted", whole(o.Seconds)},
		},
		Verdicts: []Verdict{
			{Text: "each job was accepted, and its event is sent", Met: o.Accepted == o.Jobs},
			{Text: "what was handed over again is at most what was counted as ambiguous", Met: o.Again <= o.Ambiguous},
			{Text: "a batch that is read again sends nothing", Met: o.Redelivered == 0},
		},
	}}
}
