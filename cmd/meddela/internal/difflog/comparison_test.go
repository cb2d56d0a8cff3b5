package difflog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// sms is a template of SMS texts by language, en first being the default.
func sms(name, eventType string, bodies map[string]string) topology.TemplateRecord {
	r := topology.TemplateRecord{
		Name: name, Types: []string{eventType}, Channel: topology.SMS, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{}, PublishedAt: noon.Add(-time.Hour),
	}
	for language, text := range bodies {
		r.Bodies[language] = map[string]string{template.SMSText: text}
	}
	r.Version = authoring.Version(r)
	return r
}

func en(text string) map[string]string { return map[string]string{"en": text} }

func withTTL(r topology.TemplateRecord, ttl time.Duration) topology.TemplateRecord {
	r.TTL = topology.Duration(ttl)
	r.Version = authoring.Version(r)
	return r
}

func withURL(r topology.TemplateRecord, url string) topology.TemplateRecord {
	r.Channel, r.URL = topology.Webhook, url
	r.Bodies = map[string]map[string]string{"en": {template.WebhookJSON: "{}"}}
	r.Version = authoring.Version(r)
	return r
}

type records = []topology.TemplateRecord

func catalogues(t testing.TB, live, proposed records) (l, p *catalogue.Catalogue) {
	t.Helper()
	l, err := catalogue.New(live...)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err = authoring.Proposed(l, authoring.PlanPublication(l, proposed), noon)
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

// record is an event's record, an hour old when it was published first if it is
// late.
func record(offset int64, fields string) topology.Record {
	value := fmt.Sprintf(`{"id":"e%d","type":"a","channel":"sms","mobilePhone":"+46701740605",%s}`, offset, fields)
	return topology.Record{Topic: "meddela.realtime.events", Partition: 3, Offset: offset, Time: noon,
		Value: []byte(value)}
}

const ctx = `"ctx":{"name":"Kim","n":1}`

func TestKinds(t *testing.T) {
	hello := sms("hello", "a", en("Hello {{.ctx.name}}"))
	for _, test := range []struct {
		kind           difflog.Kind // "" is unchanged
		live, proposed records
		event          string
		says           string // live, proposed, detail and parts
	}{
		{"", records{hello}, records{hello}, ctx, ""},
		{"", records{hello}, nil, ctx, ""},
		{"", records{hello}, records{sms("other", "b", en("x"))}, ctx, ""},
		{"", nil, nil, ctx, ""},
		{"", records{hello}, records{sms("hello", "a", en(`{{/* the same text */}}Hello {{.ctx.name}}`))}, ctx, ""},
		{"", records{hello}, records{sms("hello", "a", map[string]string{"en": "Hello {{.ctx.name}}", "sv": "Hej"})}, ctx,
			""},
		{difflog.NewlyCovered, nil, records{hello}, ctx, "no_template_for_type|hello||map[]"},
		{difflog.NoLongerCovered, records{hello}, records{sms("hello", "b", en("x"))}, ctx,
			"hello|no_template_for_type||map[]"},
		{difflog.OtherReason, nil, records{withURL(hello, "https://example.com/a")}, ctx,
			"no_template_for_type|no_template_for_channel||map[]"},
		{difflog.NewlyFailing, records{hello}, records{sms("hello", "a", en("Hello\n{{.ctx.nick}}"))}, ctx,
			"hello|hello|en/sms.txt:2: ctx.nick is missing|map[]"},
		{difflog.NewlyFailing, nil, records{sms("hello", "a", en("{{.ctx.nick}}"))}, ctx,
			"no_template_for_type|hello|en/sms.txt:1: ctx.nick is missing|map[]"},
		{difflog.NoLongerFailing, records{sms("hello", "a", en("{{.ctx.nick}}"))}, records{hello}, ctx,
			"hello|hello|en/sms.txt:1: ctx.nick is missing|map[]"},
		{difflog.FailingOtherwise, records{sms("hello", "a", en("{{.ctx.nick}}"))},
			records{sms("hello", "a", en("{{.ctx.nock}}"))}, ctx, "hello|hello|en/sms.txt:1: ctx.nock is missing|map[]"},
		{"", records{sms("hello", "a", en("{{.ctx.nick}}"))}, records{sms("hello", "a", en("{{.ctx.nick}}, hello"))}, ctx,
			""},
		{difflog.NewlyExpired, records{hello}, records{withTTL(hello, time.Minute)}, `"late":true,` + ctx,
			"hello|hello||map[]"},
		{difflog.NoLongerExpired, records{withTTL(hello, time.Minute)}, records{hello}, `"late":true,` + ctx,
			"hello|hello||map[]"},
		{difflog.OtherExpiry, records{hello}, records{withTTL(hello, time.Minute)}, ctx, "hello|hello||map[]"},
		{difflog.OtherTemplate, records{hello}, records{sms("hi", "a", en("Hi {{.ctx.name}}"))}, ctx,
			"hello|hi||map[sms.txt:1]"},
		{difflog.OtherLanguage, records{hello},
			records{sms("hello", "a", map[string]string{"en": "Hello {{.ctx.name}}", "sv": "Hej"})}, `"language":"sv-FI",` + ctx,
			"hello|hello|en to sv|map[sms.txt:1]"},
		{difflog.OtherText, records{hello}, records{sms("hello", "a", en("Hi {{.ctx.name}}"))}, ctx,
			"hello|hello||map[sms.txt:1]"},
		{difflog.OtherText, records{hello}, records{sms("hello", "a", en("Hi {{.ctx.name}}"))},
			`"scheduled":"2026-12-01T00:00:00Z",` + ctx, "hello|hello||map[sms.txt:1]"},
		{difflog.OtherText, records{withURL(hello, "https://example.com/a")},
			records{withURL(hello, "https://example.com/b")}, `"channel":"webhook",` + ctx, "hello|hello||map[url:1]"},
	} {
		live, proposed := catalogues(t, test.live, test.proposed)
		c := &difflog.Comparison{Live: live, Proposed: proposed, Examples: 1}
		r := record(1, test.event)
		if strings.Contains(test.event, "late") {
			r.Topic = "meddela.realtime.redrive"
			r.Headers = []topology.Header{{Key: topology.HeaderReceivedAt, Value: []byte("2026-11-01T11:00:00Z")}}
		}
		c.Add(topology.Realtime, []topology.Record{r})
		report := c.Report()
		if report.Events != 1 || report.Unreadable != 0 {
			t.Fatalf("%+v", report)
		}
		if test.kind == "" {
			if len(report.Changes) != 0 || report.Unchanged != 1 {
				t.Errorf("%s, %v to %v: %+v, want no change", test.event, test.live, test.proposed, report)
			}
			continue
		}
		if len(report.Changes) != 1 || report.Unchanged != 0 {
			t.Errorf("%s: %+v, want one change", test.kind, report)
			continue
		}
		got := report.Changes[0]
		says := fmt.Sprintf("%s|%s|%s|%v", got.Live, got.Proposed, got.Detail, got.Parts)
		if got.Kind != test.kind || got.Events != 1 || says != test.says {
			t.Errorf("%s %s\nwant %s %s", got.Kind, says, test.kind, test.says)
		}
		if len(got.Examples) != 1 || got.Examples[0].ID != "e1" || got.Examples[0].Source != r.Source() {
			t.Errorf("%s: examples %+v", test.kind, got.Examples)
		}
	}
}

// TestEveryKindIsListedOnce: a kind that is not listed would be sorted anywhere.
func TestEveryKindIsListedOnce(t *testing.T) {
	kinds := difflog.Kinds()
	slices.Sort(kinds)
	if len(slices.Compact(kinds)) != 12 {
		t.Errorf("kinds %v", kinds)
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	live, proposed := catalogues(t, nil, nil)
	c := &difflog.Comparison{Live: live, Proposed: proposed}
	c.Add(topology.Realtime, []topology.Record{{Value: []byte("x")}, record(1, ctx), {}})
	if r := c.Report(); r.Unreadable != 2 || r.Events != 1 {
		t.Errorf("%+v", r)
	}
}

func TestExamplesAreTheFirstOnesWhateverTheOrder(t *testing.T) {
	live, proposed := catalogues(t, nil, records{sms("hello", "a", en("x"))})
	c := &difflog.Comparison{Live: live, Proposed: proposed, Examples: 3}
	var adding sync.WaitGroup
	for batch := range 50 {
		adding.Go(func() {
			var rs []topology.Record
			for i := range 20 {
				rs = append(rs, record(int64(20*batch+i), ctx))
			}
			c.Add(topology.Realtime, rs)
		})
	}
	adding.Wait()
	report := c.Report()
	var ids []topology.EventID
	for _, e := range report.Changes[0].Examples {
		ids = append(ids, e.ID)
	}
	if report.Changes[0].Events != 1000 || !slices.Equal(ids, []topology.EventID{"e0", "e1", "e2"}) {
		t.Errorf("%d events, examples %v", report.Changes[0].Events, ids)
	}
}

// TestChangesAreBounded: what is told apart has a limit, and nothing goes
// uncounted beyond it.
func TestChangesAreBounded(t *testing.T) {
	const templates = 600
	var folder records
	for i := range templates {
		folder = append(folder, sms(fmt.Sprint("t", i), fmt.Sprint("type", i), en("x")))
	}
	live, proposed := catalogues(t, nil, folder)
	c := &difflog.Comparison{Live: live, Proposed: proposed, Examples: 1}
	for i := range templates {
		value := fmt.Appendf(nil, `{"id":"e%d","type":"type%d","channel":"sms","ctx":{}}`, i, i)
		c.Add(topology.Realtime, []topology.Record{{Topic: "t", Offset: int64(i), Time: noon, Value: value}})
	}
	changes := c.Report().Changes
	var n int64
	for _, change := range changes {
		n += change.Events
	}
	if len(changes) != 501 || n != templates || changes[0].Live != "others" || changes[0].Events != templates-500 {
		t.Errorf("%d changes of %d events, the first %+v", len(changes), n, changes[0])
	}
}

// TestTheLiveFolderChangesNothing: what is live already changes nothing.
func TestTheLiveFolderChangesNothing(t *testing.T) {
	folder, err := authoring.Load(samples.Templates())
	if err != nil {
		t.Fatal(err)
	}
	live, _ := catalogues(t, folder, nil)
	proposed, refs, err := authoring.Proposed(live, authoring.PlanPublication(live, folder), noon)
	if err != nil || len(refs) != 0 {
		t.Fatalf("%v would be published again; %v", refs, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		c := &difflog.Comparison{Live: live, Proposed: proposed, Examples: 1}
		c.Add(topology.Realtime, sampleRecords(seed, 100))
		if r := c.Report(); len(r.Changes) != 0 || r.Unchanged+r.Unreadable != 100 {
			t.Fatalf("%+v", r)
		}
	})
}

// TestTheOtherWayRound: comparing in the opposite direction finds the opposite
// changes in as many events.
func TestTheOtherWayRound(t *testing.T) {
	folder, err := authoring.Load(samples.Templates())
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for seed := range uint64(15) {
		source := rand.New(rand.NewPCG(seed, 0))
		live, err := catalogue.New(altered(source, folder)...)
		if err != nil {
			t.Fatal(err)
		}
		proposed, err := catalogue.New(altered(source, folder)...)
		if err != nil {
			t.Fatal(err)
		}
		events := sampleRecords(seed, 100)
		there, back := turns(live, proposed, events), turns(proposed, live, events)
		for turn, n := range there {
			if opposite := [2]string{turn[1], turn[0]}; back[opposite] != n {
				t.Fatalf("%v: %d one way, %d the other", turn, n, back[opposite])
			}
		}
		if len(there) != len(back) {
			t.Fatalf("%v one way, %v the other", there, back)
		}
		kinds += len(there)
	}
	if kinds < 15 {
		t.Errorf("the catalogues hardly differed: %d turns", kinds)
	}
}

// turns counts events by what becomes of them, and what would.
func turns(live, proposed *catalogue.Catalogue, events []topology.Record) map[[2]string]int64 {
	c := &difflog.Comparison{Live: live, Proposed: proposed}
	c.Add(topology.Realtime, events)
	n := map[[2]string]int64{}
	for _, change := range c.Report().Changes {
		n[[2]string{change.Live, change.Proposed}] += change.Events
	}
	return n
}

// altered leaves out some templates, drops languages and shortens the time to
// live of others.
func altered(source *rand.Rand, folder records) records {
	var out records
	for _, r := range folder {
		switch source.IntN(4) {
		case 0:
			continue
		case 1:
			r.TTL = topology.Duration(time.Second)
		case 2:
			r.Bodies = map[string]map[string]string{r.DefaultLanguage: r.Bodies[r.DefaultLanguage]}
		}
		r.PublishedAt = noon
		r.Version = authoring.Version(r)
		out = append(out, r)
	}
	return out
}

func sampleRecords(seed uint64, n int) []topology.Record {
	var rs []topology.Record
	for s := range samples.Events(seed, func() time.Time { return noon }) {
		rs = append(rs, topology.Record{
			Topic: "meddela.realtime.redrive", Offset: int64(len(rs)), Time: noon, Value: s.Event.Raw,
			// Half a minute old, so that some time to live is over.
			Headers: []topology.Header{{Key: topology.HeaderReceivedAt, Value: []byte("2026-11-01T11:59:30Z")}},
		})
		if len(rs) == n {
			return rs
		}
	}
	return rs
}
