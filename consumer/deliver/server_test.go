package deliver

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// onServers runs a test with deliverers that use each server.
func onServers(t *testing.T, test func(*testing.T, func(*Config))) {
	fixtures.OnServers(t, func(t *testing.T, addresses string) { test(t, storeOf(t, addresses)) })
}

var testRun atomic.Int64

// storeOf makes deliverers use a store, and keys that no other test has.
func storeOf(t *testing.T, addresses string) func(*Config) {
	t.Helper()
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addresses, ",")})
	t.Cleanup(func() { _ = client.Close() })
	own := topology.Keys{Prefix: fmt.Sprintf("test-%d-%d:", time.Now().UnixNano(), testRun.Add(1))}
	return func(c *Config) {
		c.Redis, c.Keys, c.KeepClaims = client, own, 11*time.Minute
		c.Lease, c.SendTimeout = 400*time.Millisecond, 200*time.Millisecond
	}
}

// TestOnce: three deliverers have the same jobs at once, some of which a
// fourth has taken to its death. Each job is sent once.
func TestOnce(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		jobs := manyJobs(300)
		dead := w.handler(t, store)
		owner := dead.owner(&consumer.Batch{Partition: 3})
		if err := dead.claim(t.Context(), owner, jobsOf(jobs[100:110]...)); err != nil {
			t.Fatal(err)
		}
		outs := make([][]topology.Record, 3)
		var ambiguous atomic.Int64
		var all sync.WaitGroup
		for i := range outs {
			h := w.handler(t, store)
			all.Go(func() {
				outs[i] = handleAll(t.Context(), t, h, batchOf(jobs...))
				ambiguous.Add(h.Counters.Ambiguous.Load())
			})
		}
		all.Wait()
		w.provider.once(t, 300)
		for i := range outs[0] {
			if string(outs[0][i].Value) != string(outs[1][i].Value) || string(outs[0][i].Value) != string(outs[2][i].Value) {
				t.Fatalf("entry %d differs:\n%s\n%s\n%s", i, outs[0][i].Value, outs[1][i].Value, outs[2][i].Value)
			}
		}
		if n := ambiguous.Load(); n != 10 {
			t.Errorf("%d ambiguous messages, want 10", n)
		}
	})
}

// TestScripts: what each script does on a server.
func TestScripts(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		a, b := w.handler(t, store), w.handler(t, store)
		jobs := manyJobs(50)
		owner := func(h *Handler) string { return h.owner(&consumer.Batch{Partition: 1}) }
		mine := func(h *Handler) []*delivery {
			answers := jobsOf(jobs...)
			if err := h.claim(t.Context(), owner(h), answers); err != nil {
				t.Fatal(err)
			}
			return answers
		}
		want := func(answers []*delivery, want claimState) {
			t.Helper()
			for i, answer := range answers {
				if answer.claim != want {
					t.Fatalf("%s is %v, want %v", jobs[i].EventID, answer.claim, want)
				}
			}
		}
		release := func(h *Handler) {
			t.Helper()
			if err := h.release(t.Context(), owner(h), jobsOf(jobs...)); err != nil {
				t.Fatal(err)
			}
		}
		want(mine(a), granted)
		want(mine(b), leased)
		want(mine(a), granted)
		release(a)
		want(mine(b), granted)
		time.Sleep(mine(a)[0].left)
		want(mine(a), leaseExpired)
		want(mine(a), leaseExpired)
		release(a)
		want(mine(b), leaseExpired)
		for i, status := range []topology.Status{topology.Sent, topology.DeliveryError} {
			results := jobsOf(jobs...)
			for _, d := range results {
				d.outcome = newOutcome(&d.job, ending{status: status}, time.Now())
			}
			if err := a.record(t.Context(), results)(); err != nil || len(unsettled(results)) > 0 {
				t.Fatal(i, err)
			}
		}
		answers := mine(b)
		want(answers, settled)
		if got := answers[49].outcome.status; got != topology.Sent {
			t.Errorf("the outcome is %s", got)
		}
		left, err := a.config.Redis.PTTL(t.Context(), a.config.Keys.Claim(jobs[0].JobID)).Result()
		if err != nil || left <= 0 || left > 11*time.Minute {
			t.Errorf("the claim lives for %v, %v", left, err)
		}
	})
}
