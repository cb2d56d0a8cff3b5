package explain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/cmd/meddela/internal/explain"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

var (
	now   = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	names = topology.Topics{Prefix: topology.DefaultPrefix}
)

// version makes a record of a template with a body in each language, the first
// of which is the default.
func version(name, number string, channel topology.Channel, languages []string,
	change func(*topology.TemplateRecord)) topology.TemplateRecord {
	r := topology.TemplateRecord{
		Name: name, Version: number, Types: []string{"order"}, Channel: channel,
		DefaultLanguage: languages[0], Bodies: map[string]map[string]string{}, PublishedAt: now.Add(-time.Hour),
	}
	for _, l := range languages {
		r.Bodies[l] = map[string]string{"sms.txt": "{{.ctx.name}} in " + l}
		if channel == topology.Email {
			r.Bodies[l] = map[string]string{"email.subject": "S {{.ctx.name}}", "email.txt": "\n{{.ctx.name}} in " + l}
		}
	}
	if change != nil {
		change(&r)
	}
	return r
}

func shelf(t rapid.TB, records ...topology.TemplateRecord) *catalogue.Catalogue {
	c, err := catalogue.New(records...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func question(c *catalogue.Catalogue, value string) explain.Question {
	return explain.Question{
		Record: topology.Record{Topic: names.Events(topology.Realtime), Partition: 3, Offset: 41, Time: now.Add(-time.Minute),
			Value: []byte(value)},
		Lane: topology.Realtime, Catalogue: c, Now: now,
	}
}

// agrees fails unless the explanation is of what the matcher does.
func agrees(t rapid.TB, q explain.Question, e *explain.Explanation) {
	h := match.Handler{
		Lane: q.Lane, Names: names, Now: func() time.Time { return q.Now },
		Catalogue: func() *catalogue.Catalogue { return q.Catalogue },
	}
	result, err := h.Handle(context.Background(), consumer.Batch{Records: []topology.Record{q.Record}})
	if err != nil {
		t.Fatal(err)
	}
	var entry topology.Entry
	var job *topology.Job
	for _, r := range result.Out {
		switch r.Topic {
		case names.DeliveryLog(q.Lane):
			if entry, err = topology.DecodeEntry(r.Value); err != nil {
				t.Fatal(err)
			}
		case names.DeadLetters(q.Lane):
		default: // jobs, and delayed ones
			decoded, err := topology.DecodeJob(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			job = &decoded
		}
	}
	d := &e.Decision
	if entry.EventID != e.Event.ID || entry.Status != d.Status || entry.Reason != d.Reason || entry.Detail != d.Detail ||
		entry.Template != d.Template || entry.Source != e.Event.Source || !entry.ReceivedAt.Equal(e.Validity.Received) {
		t.Fatalf("explained %+v\n%+v\nthe matcher's entry %+v", d, e.Event, entry)
	}
	if (job != nil) != (d.Status == topology.PendingDelivery) {
		t.Fatalf("explained %+v, job %+v", d, job)
	}
	if job != nil && (job.Language != d.Language || !job.Expires.Equal(d.Expires.Truncate(time.Millisecond))) {
		t.Fatalf("explained %+v, job %+v", d, job)
	}
}

// coherent fails when the steps do not lead to the decision.
func coherent(t rapid.TB, q explain.Question, e *explain.Explanation) {
	event, _ := topology.DecodeEvent(q.Record, q.Lane)
	var want, got, chosen []topology.TemplateRef
	if e.Fault == nil {
		for _, entry := range q.Catalogue.Candidates(event.Type, event.Channel) {
			want = append(want, entry.Ref())
		}
	}
	for _, c := range e.Candidates {
		got = append(got, c.Template)
		if c.Outcome == explain.Chosen {
			chosen = append(chosen, c.Template)
		}
		if c.Outcome == "" || c.Why == "" || c.Condition == "" {
			t.Fatalf("%s is not explained: %+v", c.Template, c)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("candidates %v, want %v", got, want)
	}
	if linked := e.Decision.Template != ""; linked != (len(chosen) == 1) || linked && chosen[0] != e.Decision.Template {
		t.Fatalf("chosen %v, decided %+v", chosen, e.Decision)
	}
	if (e.Validity.State == explain.Ended) != (e.Decision.Status == topology.Expired) && e.Decision.Template != "" {
		t.Fatalf("%+v, decided %+v", e.Validity, e.Decision)
	}
	if (e.Validity.State == explain.Waiting) != (e.Decision.Reason == topology.ReasonScheduled) &&
		e.Decision.Template != "" {
		t.Fatalf("%+v, decided %+v", e.Validity, e.Decision)
	}
	if l := e.Language; l != nil {
		last := l.Chain[len(l.Chain)-1]
		if !last.Found || !strings.EqualFold(strings.ReplaceAll(last.Language, "_", "-"), l.Used) ||
			l.Used != e.Decision.Language {
			t.Fatalf("languages %+v, decided %+v", l, e.Decision)
		}
	}
	if (e.Message != nil) != (e.Decision.Status == topology.PendingDelivery) {
		t.Fatalf("message %+v, decided %+v", e.Message, e.Decision)
	}
	for _, o := range e.Others {
		if slices.Contains(want, o.Template) {
			t.Fatalf("%s is a candidate and another", o.Template)
		}
	}
}

func drawVersion(t *rapid.T, i int) topology.TemplateRecord {
	languages := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"en", "sv", "sv-FI", "de"}), 1, 3, rapid.ID).Draw(t,
		"languages")
	channel := rapid.SampledFrom([]topology.Channel{topology.Email, topology.SMS}).Draw(t, "channel")
	return version(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name"), fmt.Sprint(i), channel, languages,
		func(r *topology.TemplateRecord) {
			r.Types = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"order", "code", "parcel"}), 1, 3, rapid.ID).Draw(t,
				"types")
			r.When = rapid.SampledFrom([]string{
				"", "", `ctx.n > 3`, `ctx.n > 3 && ctx.vip`, `event.country == "FI"`, `has(ctx.vip) && ctx.vip`,
			}).Draw(t, "when")
			r.TTL = rapid.SampledFrom([]topology.Duration{0, topology.Duration(time.Second),
				topology.Duration(time.Hour)}).Draw(t, "ttl")
			r.Retired = rapid.IntRange(0, 5).Draw(t, "retired") == 0
			r.PublishedAt = now.Add(time.Duration(rapid.IntRange(-3, 0).Draw(t, "published")) * time.Hour)
		})
}

func drawEvent(t *rapid.T) string {
	event := map[string]any{}
	set := func(key string, values ...any) {
		if v := rapid.SampledFrom(append(values, nil)).Draw(t, key); v != nil {
			event[key] = v
		}
	}
	set("id", "e-1", "not an id", 7)
	set("type", "order", "order", "code", "ordr")
	set("channel", "email", "sms", "pigeon", "webhook")
	set("email", "kim@example.com")
	set("mobilePhone", "+4670")
	set("language", "sv-FI", "sv_fi", "de-AT", "fr", "en")
	set("country", "FI")
	set("scheduled", now.Add(time.Minute).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339))
	set("expiration", now.Add(time.Hour).Format(time.RFC3339), now.Format(time.RFC3339))
	set("ctx", map[string]any{"n": 1}, map[string]any{"n": 5, "name": "Kim"},
		map[string]any{"n": 5, "vip": true, "name": "Kim"}, map[string]any{"n": "x"})
	value, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// TestExplanationsAgreeWithTheMatcher: whatever the templates and the event, the
// explanation is of what the matcher does, and whole.
func TestExplanationsAgreeWithTheMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []topology.TemplateRecord
		for i := range rapid.IntRange(0, 8).Draw(t, "versions") {
			records = append(records, drawVersion(t, i))
		}
		q := question(shelf(t, records...), drawEvent(t))
		e := explain.Explain(q)
		agrees(t, q, e)
		coherent(t, q, e)
	})
}

// FuzzExplain: records of any bytes are explained as the matcher treats them.
func FuzzExplain(f *testing.F) {
	c := shelf(f,
		version("plain", "1", topology.Email, []string{"en", "sv"}, nil),
		version("vip", "1", topology.Email, []string{"en"}, func(r *topology.TemplateRecord) { r.When = "ctx.vip == true" }),
	)
	for _, seed := range []string{
		`{"id":"e-1","type":"order","email":"k@example.com","language":"sv-FI","ctx":{"name":"Kim","vip":true}}`,
		`{"type":"order","ctx":{}}`, `{"type":"order"`, "", "null", "\xff", `{"id":"a b","type":"order","ctx":{}}`,
		`{"specversion":"1.0","id":"c-1","type":"order","source":"x","data":{"ctx":{"vip":false,"name":"Kim"}}}`,
	} {
		f.Add([]byte(seed), "", "sv")
		f.Add([]byte(seed), "ce-1", "1.0")
	}
	f.Fuzz(func(t *testing.T, value []byte, id, spec string) {
		q := question(c, string(value))
		if id != "" {
			q.Record.Headers = []topology.Header{{Key: "ce_id", Value: []byte(id)}, {Key: "ce_specversion", Value: []byte(spec)}}
		}
		e := explain.Explain(q)
		agrees(t, q, e)
		coherent(t, q, e)
	})
}

func outcomes(e *explain.Explanation) string {
	var all []string
	for _, c := range e.Candidates {
		all = append(all, string(c.Template)+" "+string(c.Condition)+" "+string(c.Outcome))
	}
	return strings.Join(all, "; ")
}

func TestWhyCandidatesLose(t *testing.T) {
	when := func(expression string) func(*topology.TemplateRecord) {
		return func(r *topology.TemplateRecord) { r.When = expression }
	}
	types := func(all ...string) func(*topology.TemplateRecord) {
		return func(r *topology.TemplateRecord) { r.Types = all }
	}
	earlier := func(r *topology.TemplateRecord) { r.PublishedAt = now.Add(-2 * time.Hour) }
	en, sv := []string{"en"}, []string{"sv"}
	email := func(name string, languages []string, change func(*topology.TemplateRecord)) topology.TemplateRecord {
		return version(name, "1", topology.Email, languages, change)
	}
	for _, test := range []struct {
		name    string
		records []topology.TemplateRecord
		want    string // candidates
		why     string // of the last one
	}{
		{"a farther language", []topology.TemplateRecord{email("a", sv, nil), email("b", en, when("ctx.n == 5"))},
			"b@1 true farther_language; a@1 none chosen", "the first of the nearest language, and it has no condition"},
		{"published earlier", []topology.TemplateRecord{email("a", sv, nil), email("b", sv, earlier)},
			"a@1 none chosen; b@1 none published_earlier", "published earlier than a"},
		{"fewer conditions", []topology.TemplateRecord{email("a", sv, when("ctx.n == 5")), email("b", sv, nil)},
			"a@1 true chosen; b@1 none less_specific", "less specific: its when has 0 conditions, and that of a 1"},
		{"more types", []topology.TemplateRecord{email("a", sv, nil), email("b", sv, types("order", "code"))},
			"a@1 none chosen; b@1 none less_specific", "less specific: it covers 2 types, and a 1"},
		{"a later name", []topology.TemplateRecord{email("a", sv, nil), email("b", sv, nil)},
			"a@1 none chosen; b@1 none later_name", "all else is equal, and its name comes after a"},
		{"a false condition", []topology.TemplateRecord{email("a", sv, when("ctx.n == 6")), email("b", sv, nil)},
			"a@1 false condition_false; b@1 none chosen", "the first of the nearest language, and it has no condition"},
		{"a condition that fails", []topology.TemplateRecord{email("a", sv, when("ctx.gone == 6")), email("b", sv, nil)},
			"a@1 failed condition_failed; b@1 none not_reached", "the choice had ended before it"},
	} {
		q := question(shelf(t,
			test.records...), `{"id":"e-1","type":"order","email":"k@example.com","language":"sv-FI","ctx":{"n":5,"name":"Kim"}}`)
		e := explain.Explain(q)
		agrees(t, q, e)
		coherent(t, q, e)
		if got := outcomes(e); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if got := e.Candidates[len(e.Candidates)-1].Why; got != test.why {
			t.Errorf("%s: %q, want %q", test.name, got, test.why)
		}
	}
}

func TestOthers(t *testing.T) {
	old := version("moved", "1", topology.Email, []string{"en"},
		func(r *topology.TemplateRecord) { r.PublishedAt = now.Add(-2 * time.Hour) })
	c := shelf(t,
		version("text", "1", topology.SMS, []string{"en"}, nil),
		version("over", "1", topology.Email, []string{"en"}, func(r *topology.TemplateRecord) { r.Retired = true }),
		old, version("moved", "2", topology.Email, []string{"en"},
			func(r *topology.TemplateRecord) { r.Types = []string{"parcel"} }),
	)
	q := question(c, `{"type":"order","ctx":{}}`)
	e := explain.Explain(q)
	agrees(t, q, e)
	want := []explain.Other{
		{Template: "moved@1", Channel: topology.Email, Cause: explain.NotAnyMore},
		{Template: "over@1", Channel: topology.Email, Cause: explain.Retired},
		{Template: "text@1", Channel: topology.SMS, Cause: explain.OtherChannel},
	}
	if !slices.Equal(e.Others, want) || e.Decision.Reason != topology.ReasonNoTemplateForChannel {
		t.Errorf("%+v, %+v", e.Others, e.Decision)
	}
	if got := explain.Types(c); !slices.Equal(got, []string{"order", "parcel"}) {
		t.Errorf("types %v", got)
	}
}

// TestMasking: without being asked for, neither the recipient nor the content is
// anywhere in an explanation.
func TestMasking(t *testing.T) {
	c := shelf(t, version("hello", "1", topology.Email, []string{"en"}, nil),
		version("text", "1", topology.SMS, []string{"en"}, nil))
	for _, value := range []string{
		`{"type":"order","email":"kim.svensson@example.com","externalId":"cust-77","ctx":{"name":"Kimberly"}}`,
		`{"type":"order","channel":"sms","mobilePhone":"+46701740605","ctx":{"name":"Kimberly"}}`,
		`{"type":"order","email":"kim.svensson@example.com","ctx":{"no":"Kimberly"}}`,
	} {
		q := question(c, value)
		for _, show := range []bool{false, true} {
			q.Show = show
			text, err := json.Marshal(explain.Explain(q))
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"svensson", "example.com", "701740", "Kimberly", "cust-77"} {
				if !show && strings.Contains(string(text), secret) {
					t.Errorf("%q in %s", secret, text)
				}
			}
			if show && !strings.Contains(string(text), "svensson") && !strings.Contains(string(text), "701740") {
				t.Errorf("no recipient in %s", text)
			}
		}
	}
}

func TestWhereTheEventCameFrom(t *testing.T) {
	c := shelf(t)
	header := func(key, value string) topology.Header { return topology.Header{Key: key, Value: []byte(value)} }
	for _, test := range []struct {
		value   string
		headers []topology.Header
		format  explain.Format
		id      topology.EventID
		from    explain.IDFrom
	}{
		{`{"id":"v-1","type":"order","ctx":{}}`, nil, explain.Plain, "v-1", explain.FromValue},
		{`{"type":"order","ctx":{}}`, nil, explain.Plain, "realtime-3-41", explain.FromPosition},
		{`{"id":"a b","type":"order","ctx":{}}`, nil, explain.Plain, "realtime-3-41", explain.FromPosition},
		{`nonsense`, nil, explain.Plain, "realtime-3-41", explain.FromPosition},
		{`{"type":"order","ctx":{}}`, []topology.Header{header(topology.HeaderEventID, "o-1")}, explain.Plain, "o-1",
			explain.FromOperator},
		{`{"id":"v-1","ctx":{}}`, []topology.Header{header("ce_specversion", "1.0"), header("ce_id", "c-1"),
			header("ce_type", "order")}, explain.BinaryCloudEvent, "c-1", explain.FromCloudEvent},
		{`{"specversion":"1.0","id":"s-1","type":"order","source":"x","data":{"ctx":{}}}`, nil, explain.StructuredCloudEvent,
			"x#s-1", explain.FromValue},
		{`{"specversion":"1.0","id":"s-1","type":"order","source":"x","data":{"ctx":{}}}`,
			[]topology.Header{header("content-type", "Application/CloudEvents+JSON; charset=utf-8")},
			explain.StructuredCloudEvent, "x#s-1", explain.FromValue},
		{`{"ctx":{}}`, []topology.Header{header("CE_ID", "a b"), header("CE_Source", "/x"), header("ce_type", "order")},
			explain.BinaryCloudEvent, "/x#a%20b", explain.FromCloudEvent},
	} {
		q := question(c, test.value)
		q.Record.Headers = test.headers
		if test.from == explain.FromOperator {
			q.Record.Topic = "meddela.realtime.redrive"
		}
		e := explain.Explain(q)
		agrees(t, q, e)
		if e.Event.Format != test.format || e.Event.ID != test.id || e.Event.IDFrom != test.from {
			t.Errorf("%s: %+v", test.value, e.Event)
		}
	}
}
