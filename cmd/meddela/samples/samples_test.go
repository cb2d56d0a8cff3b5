package samples_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

var now = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func load(tb testing.TB) *catalogue.Catalogue {
	tb.Helper()
	records, err := authoring.Load(samples.Templates())
	if err != nil {
		tb.Fatalf("the sample templates have faults:\n%v", err)
	}
	c, err := catalogue.New(records...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestOrderConfirmationReadsNoMoreThanItIsKnownFor(t *testing.T) {
	e, _ := load(t).Latest("order_confirmation")
	tmpl := e.Template()
	ev := topology.Event{To: "kim@example.com",
		Ctx: []byte(`{"firstName":"<b>Kim","order":{"number":"A-1007","total":"129.90","currency":"EUR"}}`)}
	for language, subject := range map[string]string{"sv-FI": "Din beställning A-1007", "en": "Your order A-1007",
		"fr": "Your order A-1007"} {
		m, err := tmpl.Render(&ev, language)
		if err != nil || m.Subject != subject {
			t.Errorf("%s: subject %q, %v; want %q", language, m.Subject, err, subject)
		}
		total := map[string]string{"sv-FI": "129,90\u00a0€"}[language]
		if total == "" {
			total = "€129.90"
		}
		if !strings.Contains(m.Text, "<b>Kim") || !strings.Contains(m.Text, total) {
			t.Errorf("%s: text %q", language, m.Text)
		}
		if !strings.Contains(m.HTML, "&lt;b&gt;Kim") || !strings.Contains(strings.ReplaceAll(m.HTML, "&nbsp;", "\u00a0"),
			total) || strings.Contains(m.HTML, "<b>Kim") {
			t.Errorf("%s: HTML %q", language, m.HTML)
		}
	}
}

// Each event ends as it says, as far as matching and rendering decide that.
func TestEventsEndAsTheySay(t *testing.T) {
	c := load(t)
	seen := map[topology.Status]int{}
	ids := map[topology.EventID]bool{}
	lanes, types, channels, languages := map[topology.Lane]int{}, map[string]int{}, map[topology.Channel]int{},
		map[string]int{}
	n := 0
	for s := range samples.Events(7, clock) {
		if n++; n > 1000 {
			break
		}
		ev, err := topology.DecodeEvent(topology.Record{Value: s.Event.Raw}, s.Lane)
		if err != nil {
			t.Fatalf("%s: %v", s.Event.Raw, err)
		}
		if ids[ev.ID] {
			t.Fatalf("the id %s is there twice", ev.ID)
		}
		ids[ev.ID] = true
		seen[s.Want]++
		lanes[s.Lane]++
		types[ev.Type]++
		channels[ev.Channel]++
		languages[ev.Language]++
		if got := ending(t, c, &ev); got != s.Want {
			t.Errorf("%s ends as %s; it says %s", s.Event.Raw, got, s.Want)
		}
	}
	for _, status := range topology.Statuses() {
		if status != topology.Pending && seen[status] < 20 {
			t.Errorf("%d of 1000 events are %s", seen[status], status)
		}
	}
	if seen[topology.Sent] < 600 || lanes[topology.Realtime] < 200 || lanes[topology.Batch] < 200 || len(types) < 6 ||
		len(channels) < 4 || len(languages) < 5 {
		t.Errorf("not mixed enough: %v %v %v %v %v", seen, lanes, types, channels, languages)
	}
}

// ending is what becomes of an event on the sandbox provider.
func ending(t *testing.T, c *catalogue.Catalogue, ev *topology.Event) topology.Status {
	t.Helper()
	d := match.Decide(ev, now, c, now, nil)
	if d.Status != topology.PendingDelivery || d.Reason == topology.ReasonScheduled {
		return d.Status
	}
	e, _ := c.ByRef(d.Template)
	tmpl := e.Template()
	if ev.To == "" && ev.Channel != topology.Webhook {
		return topology.Ignored
	}
	if _, err := tmpl.Render(ev, d.Language); err != nil {
		return topology.DeliveryError
	}
	switch {
	case strings.Contains(ev.To, "@fail."), strings.HasPrefix(ev.To, "fail-"), strings.HasSuffix(ev.To, "0000000"):
		return topology.DeliveryError
	case strings.Contains(ev.To, "@skip."), strings.HasPrefix(ev.To, "skip-"):
		return topology.Ignored
	}
	return topology.Sent
}

func TestEventsFollowTheirSeed(t *testing.T) {
	first := func(seed uint64) string {
		var b strings.Builder
		n := 0
		for s := range samples.Events(seed, clock) {
			b.Write(s.Event.Raw)
			if n++; n == 100 {
				break
			}
		}
		return b.String()
	}
	once, again := first(1), first(1)
	if once != again {
		t.Error("the same seed gives other events")
	}
	if once == first(2) {
		t.Error("another seed gives the same events")
	}
}

func TestEveryFiftyEventsHaveEveryStatus(t *testing.T) {
	seen := map[topology.Status]int{}
	n := 0
	for s := range samples.Events(3, clock) {
		seen[s.Want]++
		if n++; n%50 == 0 {
			if len(seen) != len(topology.Statuses())-1 {
				t.Errorf("events up to %d have only %v", n, slices.Collect(maps.Keys(seen)))
			}
			clear(seen)
		}
		if n == 500 {
			return
		}
	}
}

func BenchmarkRenderOrderConfirmation(b *testing.B) {
	e, _ := load(b).Latest("order_confirmation")
	tmpl := e.Template()
	ev := topology.Event{To: "kim@example.com",
		Ctx: []byte(`{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"EUR"}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(&ev, "sv-FI"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	b.ReportAllocs()
	for range samples.Events(1, clock) {
		if !b.Loop() {
			return
		}
	}
}
