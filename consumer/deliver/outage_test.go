package deliver

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

const redisLoading = "LOADING Redis is loading the dataset in memory"

// died leaves jobs as a deliverer does that is killed while it sends them.
func died(t *testing.T, w *world, jobs ...topology.Job) {
	t.Helper()
	dead := w.handler(t)
	owner := dead.owner(&consumer.Batch{Partition: 3})
	if err := dead.claim(t.Context(), owner, jobsOf(jobs...)); err != nil {
		t.Fatal(err)
	}
}

// TestADeliverersDeath: the next one waits for the lease, and then does what
// the template says of messages that may have been sent.
func TestADeliverersDeath(t *testing.T) {
	for _, test := range []struct {
		name   string
		job    []func(*topology.Job)
		status topology.Status
		reason topology.Reason
		calls  int
	}{
		{"resend", nil, topology.Sent, "", 1},
		{
			"resend to nobody", []func(*topology.Job){to(topology.Email, "kim@down.test")},
			topology.DeliveryError, topology.ReasonAmbiguous, 3,
		},
		{"hold", []func(*topology.Job){withTemplate("hold@1")}, topology.DeliveryError, topology.ReasonAmbiguous, 0},
		{"late", []func(*topology.Job){expires(time.Unix(1, 0))}, topology.DeliveryError, topology.ReasonAmbiguous, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.provider.answer = func(_ context.Context, job *topology.Job) provider.Response {
				if job.To == "kim@down.test" {
					return down
				}
				return accepted
			}
			job := aJob("event", test.job...)
			now := time.Now()
			w.store.SetTime(now)
			died(t, w, job)
			h := w.handler(t)
			done := make(chan topology.Entry, 1)
			go func() {
				done <- entriesOf(t, handleAll(t.Context(), t, h, batchOf(aJob("other"), job)))[1]
			}()
			fixtures.Eventually(t, "the other job is sent", func() bool { return w.provider.sent() == 1 })
			select {
			case entry := <-done:
				t.Fatalf("the lease was not waited for: %+v", entry)
			case <-time.After(30 * time.Millisecond):
			}
			w.store.SetTime(now.Add(h.config.Lease))
			entry := <-done
			if entry.Status != test.status || entry.Reason != test.reason {
				t.Errorf("%s %s %s", entry.Status, entry.Reason, entry.Detail)
			}
			if n := w.provider.sent() - 1; n != test.calls {
				t.Errorf("sent %d times, want %d", n, test.calls)
			}
			if n := h.Counters.Ambiguous.Load(); n != 1 {
				t.Errorf("%d ambiguous messages were counted, want 1", n)
			}
		})
	}
}

// TestAHolderThatEnds in time: what it recorded is the outcome.
func TestAHolderThatEnds(t *testing.T) {
	w := newWorld(t)
	job := aJob("event")
	died(t, w, job)
	done := make(chan topology.Entry, 1)
	h := w.handler(t)
	go func() { done <- entriesOf(t, handleAll(t.Context(), t, h, batchOf(job)))[0] }()
	own := &delivery{job: job}
	own.outcome = newOutcome(&job, ending{status: topology.Ignored, reason: topology.ReasonSuppressed}, always)
	if err := h.record(t.Context(), []*delivery{own})(); err != nil {
		t.Fatal(err)
	}
	if entry := <-done; entry.Status != topology.Ignored || !entry.At.Equal(always) {
		t.Errorf("entry %+v", entry)
	}
	if w.provider.sent() != 0 || h.Counters.Ambiguous.Load() != 0 {
		t.Error("the job was sent, or called ambiguous")
	}
}

// TestWaitingForAHolderEnds with the context, and hands back what is done.
func TestWaitingForAHolderEnds(t *testing.T) {
	w := newWorld(t)
	jobs := manyJobs(3)
	died(t, w, jobs[1])
	ctx, stop := context.WithCancel(t.Context())
	var ends sync.WaitGroup
	ends.Go(func() {
		defer stop()
		fixtures.Eventually(t, "the others are settled", func() bool {
			first, _ := w.store.Get(keys.Claim(jobs[0].JobID))
			last, _ := w.store.Get(keys.Claim(jobs[2].JobID))
			return strings.HasPrefix(first, stateFinal) && strings.HasPrefix(last, stateFinal)
		})
	})
	result, err := w.handler(t).Handle(ctx, batchOf(jobs...))
	ends.Wait()
	if result.Handled != 1 || len(result.Out) != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("handled %d, %v", result.Handled, err)
	}
	w.provider.once(t, 2)
}

// TestRedisAwayAtClaim: nothing is sent, the loop is told, and afterwards all
// goes on.
func TestRedisAwayAtClaim(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		h := w.handler(t)
		b := batchOf(manyJobs(10)...)
		w.store.SetError(redisLoading)
		if result, err := h.Handle(t.Context(), b); err == nil || result.Handled != 0 {
			t.Fatalf("handled %d, %v", result.Handled, err)
		}
		w.store.SetError("")
		w.store.Close()
		if result, err := h.Handle(t.Context(), b); err == nil || result.Handled != 0 {
			t.Fatalf("handled %d, %v", result.Handled, err)
		}
		if w.provider.sent() != 0 {
			t.Fatal("sent without a claim")
		}
		if err := w.store.Restart(); err != nil {
			t.Fatal(err)
		}
		handleAll(t.Context(), t, h, b)
		w.provider.once(t, 10)
		if n := h.Counters.Ambiguous.Load(); n != 0 {
			t.Errorf("%d ambiguous messages", n)
		}
	}
}

// TestRedisAwayAtSettle: what was sent is recorded when Redis is back, and not
// sent again.
func TestRedisAwayAtSettle(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		var away atomic.Bool
		w.provider.answer = func(context.Context, *topology.Job) provider.Response {
			if !away.Swap(true) {
				w.store.SetError(redisLoading)
				time.AfterFunc(120*time.Millisecond, func() { w.store.SetError("") })
			}
			return accepted
		}
		h := w.handler(t)
		b := batchOf(manyJobs(10)...)
		entries := entriesOf(t, handleAll(t.Context(), t, h, b))
		if len(entries) != 10 {
			t.Fatalf("%d entries", len(entries))
		}
		again := entriesOf(t, handleAll(t.Context(), t, w.handler(t), b))
		for i := range entries {
			if entries[i] != again[i] || entries[i].Status != topology.Sent {
				t.Errorf("entry %d: %+v, then %+v", i, entries[i], again[i])
			}
		}
		w.provider.once(t, 10)
	}
}

// TestTheGracePeriod: what could not be recorded before Handle had to end is
// recorded by the next one, before anything is claimed.
func TestTheGracePeriod(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		ctx, stop := context.WithCancel(t.Context())
		w.provider.answer = func(context.Context, *topology.Job) provider.Response {
			w.store.SetError(redisLoading)
			stop()
			return accepted
		}
		h := w.handler(t)
		h.grace = 100 * time.Millisecond
		b := batchOf(manyJobs(3)...)
		if result, err := h.Handle(ctx, b); result.Handled != 0 || !errors.Is(err, context.Canceled) {
			t.Fatalf("handled %d, %v", result.Handled, err)
		}
		sent := w.provider.sent()
		if sent == 0 || len(h.unsettled) != sent {
			t.Fatalf("%d sent, %d kept", sent, len(h.unsettled))
		}
		if result, err := h.Handle(t.Context(), b); result.Handled != 0 || err == nil {
			t.Fatalf("with Redis away: handled %d, %v", result.Handled, err)
		}
		w.store.SetError("")
		w.provider.answer = nil
		if got := len(handleAll(t.Context(), t, h, b)); got != 3 || len(h.unsettled) != 0 {
			t.Errorf("%d entries, %d kept", got, len(h.unsettled))
		}
		w.provider.once(t, 3)
		if n := h.Counters.Ambiguous.Load(); n != 0 {
			t.Errorf("%d ambiguous messages", n)
		}
	}
}

// TestShutdown: sends under way end and are recorded, no other begins, and what
// was claimed besides is free for the next deliverer at once.
func TestShutdown(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		ctx, stop := context.WithCancel(t.Context())
		var first atomic.Bool
		w.provider.answer = func(own context.Context, _ *topology.Job) provider.Response {
			if first.Swap(true) {
				<-ctx.Done()
			}
			stop()
			if !retry.Sleep(own, 20*time.Millisecond) {
				return failed
			}
			return accepted
		}
		b := batchOf(manyJobs(50)...)
		result, err := w.handler(t).Handle(ctx, b)
		sent := w.provider.sent()
		if result.Handled != sent || sent == 0 || sent > w.provider.concurrency || !errors.Is(err, context.Canceled) {
			t.Fatalf("handled %d of %d sent, %v", result.Handled, sent, err)
		}
		w.provider.answer = nil
		b.Records = b.Records[result.Handled:]
		next := w.handler(t)
		handleAll(t.Context(), t, next, b)
		w.provider.once(t, 50)
		if n := next.Counters.Ambiguous.Load(); n != 0 {
			t.Errorf("%d ambiguous messages", n)
		}
	}
}

// TestSlowInPlace: tasks that take longer than they said are claimed again
// before their lease can end.
func TestSlowInPlace(t *testing.T) {
	w := newWorld(t)
	w.provider.instant = true
	w.provider.answer = func(ctx context.Context, _ *topology.Job) provider.Response {
		retry.Sleep(ctx, 20*time.Millisecond)
		return accepted
	}
	slow := func(c *Config) { c.SendTimeout, c.Lease = 900*time.Millisecond, time.Second }
	h, other := w.handler(t, slow), w.handler(t, slow)
	b := batchOf(manyJobs(60)...)
	done := make(chan struct{})
	go func() { defer close(done); handleAll(t.Context(), t, h, b) }()
	handleAll(t.Context(), t, other, b)
	<-done
	w.provider.once(t, 60)
	if n := h.Counters.Ambiguous.Load() + other.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d ambiguous messages", n)
	}
}

// afterClaim is a client's hook that does something after each call of a script
// that has worked.
type afterClaim func() error

func (a afterClaim) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (a afterClaim) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (a afterClaim) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		if err == nil && strings.HasPrefix(commands[0].Name(), "eval") {
			if err = a(); err != nil {
				commands[0].SetErr(err)
			}
		}
		return err
	}
}

// TestStoppedAtClaim: with the context ended right after the claim, nothing is
// sent, and the jobs are free.
func TestStoppedAtClaim(t *testing.T) {
	for _, instant := range []bool{false, true} {
		for _, lost := range []error{nil, errors.New("the connection is lost")} {
			w := newWorld(t)
			w.provider.instant = instant
			ctx, stop := context.WithCancel(t.Context())
			h := w.handler(t)
			var calls atomic.Int64
			h.config.Redis.AddHook(afterClaim(func() error {
				if calls.Add(1) > 1 {
					return nil
				}
				if len(w.store.Keys()) == 0 {
					t.Error("nothing was claimed")
				}
				stop()
				return lost
			}))
			result, err := h.Handle(ctx, batchOf(manyJobs(20)...))
			if result.Handled != 0 || err == nil || w.provider.sent() != 0 {
				t.Errorf("handled %d, %v, %d sent", result.Handled, err, w.provider.sent())
			}
			if left := w.store.Keys(); len(left) != 0 || calls.Load() != 2 {
				t.Errorf("instant %v, lost %v: %d claims are left after %d calls", instant, lost, len(left), calls.Load())
			}
		}
	}
}

// TestALostAnswer to a claim is no other deliverer's claim: the job is sent at
// once, and is not ambiguous.
func TestALostAnswer(t *testing.T) {
	w := newWorld(t)
	h := w.handler(t)
	var calls atomic.Int64
	h.config.Redis.AddHook(afterClaim(func() error {
		if calls.Add(1)%3 == 1 {
			return errors.New("the answer is lost")
		}
		return nil
	}))
	began := time.Now()
	handleAll(t.Context(), t, h, batchOf(manyJobs(20)...))
	if took := time.Since(began); took > h.config.Lease/2 {
		t.Errorf("took %v: its own lease was waited for", took)
	}
	w.provider.once(t, 20)
	if n := h.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d ambiguous messages", n)
	}
}

// noSettling is a client's hook that fails to record the outcome of one job, unless
// with others, until that is over, while all else works.
type noSettling struct {
	of   string // the claim's key
	over func() bool
}

func (n *noSettling) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (n *noSettling) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (n *noSettling) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		others := slices.DeleteFunc(slices.Clone(commands), func(c redis.Cmder) bool {
			args := c.Args()
			if !strings.HasPrefix(c.Name(), "eval") || n.over() {
				return false
			}
			_, settles := args[3+args[2].(int)].(int64) // where claims have their owner
			fails := settles && args[2] == 1 && *args[3].(*string) == n.of
			if fails {
				c.SetErr(errors.New("not now"))
			}
			return fails
		})
		if len(others) == 0 {
			return commands[0].Err()
		}
		return next(ctx, others)
	}
}

// TestClaimedWhileSettling: what was claimed along with an outcome that could not be
// recorded for long is not sent before it is claimed again: its lease may end.
func TestClaimedWhileSettling(t *testing.T) {
	w := newWorld(t)
	w.provider.concurrency = 1
	jobs := manyJobs(4)
	var sent atomic.Bool // the second, by the other, as its lease has ended
	w.provider.answer = func(_ context.Context, job *topology.Job) provider.Response {
		if job.JobID == jobs[1].JobID {
			sent.Store(true)
		}
		return accepted
	}
	short := func(c *Config) { c.SendTimeout, c.Lease = 300*time.Millisecond, 2*time.Second }
	h, other := w.handler(t, short), w.handler(t, short)
	h.config.Redis.AddHook(&noSettling{keys.Claim(jobs[0].JobID), sent.Load})
	var all sync.WaitGroup
	all.Go(func() { handleAll(t.Context(), t, h, batchOf(jobs...)) })
	fixtures.Eventually(t, "the second is claimed", func() bool { return w.store.Exists(keys.Claim(jobs[1].JobID)) })
	handleAll(t.Context(), t, other, batchOf(jobs[1:]...))
	all.Wait()
	w.provider.once(t, 4)
}

// TestOneWarningForManyBatches: what cannot be released or recorded while Redis is away is told once in a while.
func TestOneWarningForManyBatches(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	h := w.handler(t)
	h.config.Log = zerolog.New(&log)
	w.store.SetError(redisLoading)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		(&pipeline{Handler: h, owner: "o"}).giveUp(ctx, []*delivery{{job: aJob("event")}})
	}
	w.store.SetError("")
	if n := strings.Count(log.String(), "cannot be released"); n != 1 {
		t.Errorf("%d lines, want one:\n%s", n, log.String())
	}
}
