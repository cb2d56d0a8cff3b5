package main

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

var testKeys = topology.Keys{Prefix: "test:"}

func newStore(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	store := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return store, client
}

func say(store *miniredis.Miniredis, id topology.EventID, status topology.Status) {
	store.HSet(testKeys.Event(id), topology.FieldStatus, string(status), topology.FieldPendingAt, "1700000000000")
}

func TestEventsAreOfOneSizeAndTakenByTheMatcher(t *testing.T) {
	templates, err := catalogue.New(topology.TemplateRecord{
		Name: "order_confirmation", Version: "1", Types: []string{eventType}, Channel: topology.Email,
		DefaultLanguage: "en",
		Bodies: map[string]map[string]string{
			"en": {template.EmailSubject: "Order {{.ctx.order.number}}", template.EmailText: "{{.ctx.note}}"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{0, 7, 399_999, 12_345_678} {
		if got := len(newEvent(number).Value); got != eventBytes {
			t.Errorf("event %d has %d bytes, want %d", number, got, eventBytes)
		}
	}
	system := &system{bench: &bench{ctx: t.Context()}, names: topology.Topics{Prefix: "bench."}}
	var outputs bareWriter
	err = script.Try(func() { outputs = system.bareOutputs(newMatcher(system.names, templates)) })
	if err != nil || outputs[0].size <= eventBytes || outputs[1].size < 200 {
		t.Errorf("a job and an entry of %v: too small to be true (%v)", outputs, err)
	}
}

func TestPairsOfEntriesAreOfOneEvent(t *testing.T) {
	seen := make(map[string][]topology.Status)
	make := entriesOf(2)
	for at := range 800 {
		entry, err := topology.DecodeEntry(make(3, at).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(entry.EventID)] = append(seen[string(entry.EventID)], entry.Status)
	}
	if len(seen) != 400 {
		t.Fatalf("800 entries are of %d events, want 400", len(seen))
	}
	for id, statuses := range seen {
		if len(statuses) != 2 || statuses[0] != topology.PendingDelivery || statuses[1] != topology.Sent {
			t.Errorf("event %s: %v", id, statuses)
		}
	}
}

func TestDistinctEntriesAreOfDifferentEvents(t *testing.T) {
	seen := make(map[string]bool)
	entry := entriesOf(1)
	for partition := range partitions {
		for at := range 100 {
			seen[string(entry(partition, at).Key)] = true
		}
	}
	if len(seen) != 100*partitions {
		t.Errorf("%d entries are of %d events", 100*partitions, len(seen))
	}
}

func TestWatchSeesEachEventOnce(t *testing.T) {
	store, client := newStore(t)
	w := &watch{system: &system{bench: &bench{ctx: t.Context(), redis: client}, keys: testKeys}}
	due := time.Now()
	for _, id := range []topology.EventID{"a", "b", "c"} {
		w.add(id, due)
	}
	say(store, "b", topology.Sent)
	say(store, "c", topology.Pending)
	for range 2 {
		w.look(1000)
	}
	if seen, waiting := len(w.seen), len(w.waiting); seen != 1 || waiting != 2 {
		t.Fatalf("%d are seen and %d waiting, want 1 and 2", seen, waiting)
	}
	got := w.seen[0]
	pending := got.pending.UnixMilli()
	if !got.due.Equal(due) || got.seen.Before(due) || pending != 1_700_000_000_000 || !got.sent.IsZero() {
		t.Errorf("%+v", got)
	}
	say(store, "a", topology.Sent)
	say(store, "c", topology.Sent)
	for want := 2; want <= 3; want++ {
		if w.look(1); len(w.seen) != want {
			t.Errorf("%d seen by looks at one event each, want %d", len(w.seen), want)
		}
	}
}

func TestKeysOfABenchAreDeletedAndNoOthers(t *testing.T) {
	store, client := newStore(t)
	b := &bench{ctx: t.Context(), redis: client, id: "x"}
	for i := range 3000 {
		say(store, topology.EventID(fmt.Sprint(i)), topology.Sent)
		_ = store.Set(fmt.Sprintf("%s%d", b.keyPrefix(), i), "")
	}
	if err := script.Try(func() { b.deleteKeys(b.keyPrefix()) }); err != nil {
		t.Fatal(err)
	}
	if left := len(store.Keys()); left != 3000 {
		t.Errorf("%d keys are left, want 3000", left)
	}
}

func TestWhatCountsAsHeld(t *testing.T) {
	level := func(n int, lag, growth float64) []float64 {
		lags := make([]float64, n)
		for i := range lags {
			lags[i] = lag + growth*float64(i)
		}
		return lags
	}
	for name, tt := range map[string]struct {
		lag  []float64
		held bool
	}{
		"level for a minute":                 {level(60, 500, 0), true},
		"less and less":                      {level(60, 9000, -100), true},
		"growing by a hundredth of the rate": {level(60, 500, 100), false},
		"growing within the noise":           {level(60, 500, 40), true},
		"level, but seconds behind":          {level(60, 30_000, 0), false},
		"a short trial's noise":              {level(8, 500, 200), true},
		"a short trial that is behind":       {level(8, 500, 2000), false},
		"a surge that passes":                {append(level(52, 500, 0), 9000, 15_000, 19_000, 9000, 4000, 500, 500), true},
		"the first seconds do not count":     {append([]float64{0, 0}, level(58, 5000, 0)...), true},
		"one look":                           {level(1, 500, 0), true},
	} {
		p := probe{rate: 10_000, seconds: float64(len(tt.lag)), lag: tt.lag}
		if p.judge(); p.held != tt.held {
			t.Errorf("%s: held %v, want %v (growing by %.1f)", name, p.held, tt.held, p.growth)
		}
	}
}

func TestTimetable(t *testing.T) {
	due := timetable{start: time.Now(), rate: 500, length: 4 * time.Second}
	for i := range 2000 {
		if got := due.by(due.at(i).Add(time.Microsecond)); got != i+1 {
			t.Fatalf("when event %d is due, %d are, want %d", i, got, i+1)
		}
	}
	if got := due.by(due.start.Add(-time.Second)); got != 0 {
		t.Errorf("%d events are due before the start", got)
	}
	if got := due.by(due.start.Add(time.Minute)); got != 2000 {
		t.Errorf("%d events are due after the end, want 2000", got)
	}
}

func TestStatistics(t *testing.T) {
	values := []float64{9, 1, 5, 3, 7, 2, 8, 4, 6, 10}
	for name, tt := range map[string]struct{ got, want float64 }{
		"median of even many":      {median(values), 5.5},
		"median of odd many":       {median(values[:3]), 5},
		"median of none":           {median(nil), 0},
		"p50 by the nearest rank":  {quantile(values, 0.5), 5},
		"p99":                      {quantile(values, 0.99), 10},
		"p0 is the least":          {quantile(values, 0), 1},
		"quantile of none":         {quantile(nil, 0.5), 0},
		"slope of a line":          {slope([]float64{3, 5, 7, 9}), 2},
		"slope of what is level":   {slope([]float64{4, 4, 4}), 0},
		"slope of what goes round": {slope([]float64{1, 5, 1}), 0},
		"slope of one":             {slope([]float64{4}), 0},
		"slope beside a surge":     {slope([]float64{1, 1, 1, 1, 1, 1, 90, 80}), 0},
	} {
		if math.Abs(tt.got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
	if values[0] != 9 {
		t.Error("the values were sorted in place")
	}
}

func TestTurnsDiffer(t *testing.T) {
	var order []int
	for _, rival := range turns(2, 3) {
		order = append(order, rival)
	}
	if want := []int{0, 1, 2, 2, 1, 0}; !slices.Equal(order, want) {
		t.Fatalf("two rounds in the order %v, want %v", order, want)
	}
}
