package simulation

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

var (
	seeds = flag.Int("seeds", 2, "how many plans are tried")
	seed  = flag.Uint64("seed", 1, "the first plan")
	one   = flag.Bool("one", false, "of the plans that have each fault try one")
)

func init() { redis.SetLogger(silence{}) }

// silence is what the client of Redis says in, of what every process says in its own words.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// TestSeeds tries plans. One that fails is tried again with make simulate SEED=N SEEDS=1: the plan is the same,
// though not the order in which goroutines run.
func TestSeeds(t *testing.T) {
	simulate(t, *seeds, false)
}

// TestEachFault meets every fault, and every point at which a process is killed, within a few plans that have each.
func TestEachFault(t *testing.T) {
	if *seeds < 3 && !*one {
		t.Skip("it takes half a minute: -seeds 3")
	}
	plans := 3
	if *one {
		plans = 1
	}
	bitten := simulate(t, plans, true)
	p := planOf(*seed, true)
	for _, f := range p.faults {
		if bitten[f.what] == 0 && !*one {
			t.Errorf("%q never happened", f.what)
		}
	}
}

// simulate tries plans side by side, and returns how often each fault has happened.
func simulate(t *testing.T, plans int, each bool) (bitten map[string]int) {
	var mu sync.Mutex
	var simulated time.Duration
	bitten = make(map[string]int)
	began := time.Now()
	t.Run("plan", func(t *testing.T) {
		for n := range uint64(plans) {
			t.Run(fmt.Sprint(*seed+n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					// A bubble begins in 2000, and times before 2020 are those of wrong clocks, which count for nothing.
					time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
					w := newWorld(t, planOf(*seed+n, each))
					w.run()
					mu.Lock()
					defer mu.Unlock()
					simulated += time.Since(w.started)
					for what, times := range w.bitten {
						bitten[what] += times
					}
				})
			})
		}
	})
	took := time.Since(began)
	t.Logf("%d plans, %s simulated in %s: %.0f times as fast", plans, simulated.Round(time.Second),
		took.Round(time.Millisecond), simulated.Seconds()/took.Seconds())
	for _, what := range slices.Sorted(maps.Keys(bitten)) {
		t.Logf("%4d × %s", bitten[what], what)
	}
	return bitten
}

const (
	// calmDown is how long after the last fault all must have come to rest.
	calmDown = 20 * time.Minute
	// within is how soon an order is in force everywhere.
	within = 3 * time.Second
)

func (w *world) run() {
	w.running.Go(func() { w.upstream(w.publish) })
	var faults []chan struct{}
	for _, f := range w.plan.faults {
		ended := make(chan struct{})
		faults = append(faults, ended)
		w.running.Go(func() {
			defer close(ended)
			time.Sleep(time.Until(w.started.Add(f.at)))
			w.strike(f)
		})
	}
	before := make(map[topology.EventID]topology.State)
	calm := time.Time{}
	for second := 1; ; second++ {
		time.Sleep(time.Second)
		open := w.look(before, second%10 == 0)
		if !slices.ContainsFunc(faults, func(c chan struct{}) bool { return !isClosed(c) }) && calm.IsZero() {
			calm = time.Now()
		}
		isDone := len(open) == 0 && time.Since(w.started) > w.plan.load+time.Second
		if !calm.IsZero() && (isDone || time.Since(calm) > calmDown) {
			break
		}
	}
	w.end()
	w.look(before, true)
	w.judge(before)
	w.close()
	if w.Failed() {
		w.Logf("%s\n%s", w.plan.String(), w.log.about(""))
	}
}

// end stops all processes.
func (w *world) end() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.stopAll()
	w.running.Wait()
}

func (w *world) stopAll() {
	for i := range w.plan.layout {
		w.process(i).cancel()
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (w *world) close() {
	time.Sleep(time.Minute) // as long as deliverers that have stopped go on trying to record what they sent
	_ = w.client.Close()
	w.writer.Transport.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	w.store.Close()
	w.broker.Close()
}

// look reads the statuses of what was published, those that have come to rest now and then only, and returns the
// others. None may go backwards.
func (w *world) look(before map[topology.EventID]topology.State, all bool) (open []topology.EventID) {
	w.mu.Lock()
	ids := slices.Collect(maps.Keys(w.published))
	if len(w.emptied) > w.seen {
		clear(before)
	}
	w.seen = len(w.emptied)
	w.mu.Unlock()
	if !all {
		ids = slices.DeleteFunc(ids, func(id topology.EventID) bool { s := before[id]; return s.Status.Final() })
	}
	answers, err := w.reader.GetMany(w.Context(), ids)
	if err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	mixed := len(w.emptied) > w.seen
	w.mu.Unlock()
	if mixed {
		return ids
	}
	for i, a := range answers {
		was, now := before[ids[i]], a.State
		if now.Rank < was.Rank {
			w.Errorf("%s went from %s (%s) to %q (%s)", ids[i], was.Status, was.Rank, now.Status, now.Rank)
		}
		before[ids[i]] = now
		if !now.Status.Final() {
			open = append(open, ids[i])
		}
	}
	return open
}

// judge checks what must hold at the end.
func (w *world) judge(found map[topology.EventID]topology.State) {
	for _, f := range w.log.faults {
		w.Errorf("%s", f)
	}
	fold, letters, told := w.fold(), w.letters(), w.ends()
	for id, e := range w.published {
		got, job := found[id], topology.JobIDOf(id, 0)
		copies, doubts := w.outside.accepted[job], w.log.ambiguous[job]
		why := func(format string, values ...any) {
			w.Errorf("%s: %s: %s %s %q, %d copies, %d doubts\n%s", id, fmt.Sprintf(format, values...),
				got.Status, got.Reason, got.Detail, len(copies), doubts, w.log.about(string(id))+w.where(id))
		}
		switch {
		case !got.Status.Final():
			why("it has not come to rest")
		case got.Reason == topology.ReasonAmbiguous && doubts > 0:
		case e.kind == shortLived && got.Reason == topology.ReasonProviderDown: // until it would have expired
		case got.Reason == topology.ReasonKilled && w.bitten["order to kill"] > 0 && e.event.Type == "code":
		case got.Reason == topology.ReasonSuppressed && !w.unwanted[e.event.To].IsZero():
		case !slices.Contains(ends[e.kind], got.Status):
			why("it may end as %v only", ends[e.kind])
		}
		if want := fold[id]; want == nil || *want != got {
			why("it is %+v, and the log says %+v", got, want)
		}
		if e.kind == invalid && !letters[id] {
			why("there is no dead letter")
		}
		forgotten := w.forgotten(copies, told[id])
		if len(copies) > 1+doubts+forgotten {
			why("it was sent again without a word")
		}
		if got.Status == topology.Sent && len(copies) == 0 {
			why("nobody got it")
		}
		unsent := []topology.Status{topology.Expired, topology.Ignored, topology.NotCovered}
		if slices.Contains(unsent, got.Status) && len(copies) > forgotten+doubts {
			why("somebody got it")
		}
		for _, c := range copies {
			switch {
			case c.at.Before(e.event.Scheduled):
				why("it was sent at %s, too early", c.at)
			case e.kind == suppressed, e.kind == outlived:
				why("it was sent")
			case e.kind == shortLived && c.at.After(e.event.Expiration.Add(time.Minute)):
				why("it was sent at %s, too late", c.at)
			}
			for _, s := range w.orders {
				if s.typ == e.event.Type && c.at.After(s.from.Add(within)) && c.at.Before(s.to) {
					why("it was sent at %s, while its type was paused or killed", c.at)
				}
			}
			if since := w.unwanted[c.to]; !since.IsZero() && c.at.After(since.Add(within)) {
				why("it was sent at %s, to somebody who had said no", c.at)
			}
		}
	}
}

// forgotten is how often Redis was emptied when it alone knew that a message was sent: the log, to which the end of its
// event was told at a time, zero for never, did not say so yet.
func (w *world) forgotten(copies []acceptance, told time.Time) (times int) {
	for _, at := range w.emptied {
		if len(copies) > 0 && copies[0].at.Before(at) && (told.IsZero() || !told.Before(at)) {
			times++
		}
	}
	return times
}

// ends is when the log was first told of each event that it has ended.
func (w *world) ends() map[topology.EventID]time.Time {
	ends := make(map[topology.EventID]time.Time)
	for partition := range w.plan.partitions {
		for _, r := range w.read(w.in.Names.DeliveryLog(w.plan.lane), partition) {
			e, err := topology.DecodeEntry(r.Value)
			if _, known := ends[e.EventID]; err == nil && e.Status.Final() && !known {
				ends[topology.EventID(strings.Clone(string(e.EventID)))] = r.Time
			}
		}
	}
	return ends
}

// where says in which records of which topics an event is.
func (w *world) where(id topology.EventID) string {
	var b strings.Builder
	for _, name := range w.in.Names.All() {
		for partition := range len(w.broker.Cluster.PartitionInfos(string(name))) {
			for _, r := range w.read(name, partition) {
				if string(r.Key) == string(id) || strings.Contains(string(r.Value), string(id)) {
					fmt.Fprintf(&b, "\n%s/%d@%d %s %s %s", name, partition, r.Offset, r.Time.UTC().Format("04:05.000"),
						r.Headers, r.Value)
				}
			}
		}
	}
	return b.String()
}

// fold is what the events and the log say, read from their start.
func (w *world) fold() map[topology.EventID]*topology.State {
	fold := make(folded)
	handler := status.Handler{Lane: w.plan.lane, Names: w.in.Names, Store: fold}
	for _, topic := range []topology.Topic{w.in.Names.Events(w.plan.lane), w.in.Names.DeliveryLog(w.plan.lane)} {
		for partition := range w.plan.partitions {
			records := w.read(topic, partition)
			batch := consumer.Batch{Topic: topic, Partition: partition, Records: records}
			if _, err := handler.Handle(w.Context(), batch); err != nil {
				w.Fatal(err)
			}
		}
	}
	return fold
}

// letters are the events that there are dead letters of.
func (w *world) letters() map[topology.EventID]bool {
	letters := make(map[topology.EventID]bool)
	topic := w.in.Names.DeadLetters(w.plan.lane)
	for partition := range len(w.broker.Cluster.PartitionInfos(string(topic))) {
		for _, r := range w.read(topic, partition) {
			letters[topology.EventID(r.Key)] = true
		}
	}
	return letters
}

func (w *world) read(topic topology.Topic, partition int) (records []topology.Record) {
	info := w.broker.Cluster.PartitionInfo(string(topic), int32(partition))
	if info.HighWatermark == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.broker.Addr()), kgo.Dialer(w.network.DialContext),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			string(topic): {int32(partition): kgo.NewOffset().AtStart()}}))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	for next := int64(0); next < info.HighWatermark; {
		fetched := client.PollFetches(w.Context())
		if err := fetched.Err(); err != nil {
			w.Fatal(err)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			record := topology.Record{Topic: topic, Partition: partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key,
				Value: r.Value}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, topology.Header{Key: h.Key, Value: h.Value})
			}
			records = append(records, record)
		})
	}
	return records
}

// folded is a status.Writer that keeps what it is given.
type folded map[topology.EventID]*topology.State

func (f folded) Write(_ context.Context, states []topology.State) error {
	for _, s := range states {
		s.EventID = topology.EventID(strings.Clone(string(s.EventID)))
		if f[s.EventID] == nil {
			f[s.EventID] = &s
		} else {
			f[s.EventID].Merge(&s)
		}
	}
	return nil
}
