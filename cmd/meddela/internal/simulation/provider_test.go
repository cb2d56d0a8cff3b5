package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// outside is the world that providers hand messages to. It remembers all that it was given.
type outside struct {
	mu       sync.Mutex
	accepted map[topology.JobID][]acceptance
	down     bool
	slow     time.Duration
	loses    int // of a hundred answers
}

// acceptance is one copy of a message that somebody got.
type acceptance struct {
	at    time.Time
	by    string
	event topology.EventID
	to    string
}

// carrier is the provider of one process.
type carrier struct {
	name string
	*link
	world *outside
}

func (c *carrier) Name() string   { return c.name }
func (*carrier) Concurrency() int { return 16 }

// Send implements provider.Provider.
func (c *carrier) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	gone := provider.Response{Verdict: provider.Down, Detail: "it is gone"}
	before, after := c.at("provider")
	if before {
		c.kill()
	}
	c.world.mu.Lock()
	down, slow, loses := c.world.down, c.world.slow, c.world.loses
	c.world.mu.Unlock()
	if c.isDead() || down {
		return gone
	}
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return provider.Response{Verdict: provider.Failed, Detail: "nothing was handed over in time"}
		}
	}
	if c.isDead() { // before the last byte
		return gone
	}
	if strings.HasPrefix(m.To, "refused") {
		return provider.Response{Verdict: provider.Rejected, Detail: "550 no such person"}
	}
	c.world.mu.Lock()
	c.world.accepted[job.JobID] = append(c.world.accepted[job.JobID], acceptance{time.Now(), c.name, job.EventID, m.To})
	c.world.mu.Unlock()
	if after {
		c.kill()
	}
	hash := fnv.New32a()
	fmt.Fprint(hash, job.JobID, job.Attempt)
	if int(hash.Sum32()>>8)%100 < loses {
		return provider.Response{Verdict: provider.Unknown, Detail: "the connection broke before the answer"}
	}
	return provider.Response{Verdict: provider.Accepted, MessageID: "1"}
}
