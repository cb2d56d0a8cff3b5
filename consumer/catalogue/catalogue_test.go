package catalogue_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sms makes a version that was published that many minutes after the start.
func sms(name, version string, minutes int, types ...string) topology.TemplateRecord {
	return topology.TemplateRecord{
		Name: name, Version: version, Types: types, Channel: topology.SMS, DefaultLanguage: "en",
		Bodies:      map[string]map[string]string{"en": {template.SMSText: name + " " + version}},
		PublishedAt: start.Add(time.Duration(minutes) * time.Minute),
	}
}

func changed(retired bool, r topology.TemplateRecord) topology.TemplateRecord {
	r.Retired = retired
	return r
}

func catalogueOf(t *testing.T, records ...topology.TemplateRecord) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.New(records...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refs(entries []*catalogue.Entry) []topology.TemplateRef {
	var all []topology.TemplateRef
	for _, e := range entries {
		all = append(all, e.Ref())
	}
	return all
}

func TestCandidates(t *testing.T) {
	c := catalogueOf(t,
		sms("a", "1", 1, "order", "invoice"),
		sms("a", "2", 3, "order"), // no longer matches invoice
		sms("b", "1", 2, "order", "order"),
		sms("c", "1", 3, "order"),
		sms("d", "1", 9, "flight"),
	)
	for _, tt := range []struct {
		eventType string
		channel   topology.Channel
		want      []topology.TemplateRef
		hasType   bool
	}{
		{"order", topology.SMS, []topology.TemplateRef{"a@2", "c@1", "b@1"}, true},
		{"order", topology.Email, nil, true},
		{"invoice", topology.SMS, nil, false},
		{"flight", topology.SMS, []topology.TemplateRef{"d@1"}, true},
		{"", topology.SMS, nil, false},
	} {
		if got := refs(c.Candidates(tt.eventType, tt.channel)); !slices.Equal(got, tt.want) {
			t.Errorf("Candidates(%q, %s) = %v; want %v", tt.eventType, tt.channel, got, tt.want)
		}
		if got := c.HasType(tt.eventType); got != tt.hasType {
			t.Errorf("HasType(%q) = %v", tt.eventType, got)
		}
	}
	if e, ok := c.ByRef("a@1"); !ok || e.Ref() != "a@1" {
		t.Error("the old version a@1 is not there to render")
	}
	if e, ok := c.Latest("a"); !ok || e.Ref() != "a@2" {
		t.Error("a@2 is not the latest of a")
	}
	if c.Names() != 4 || c.Versions() != 5 {
		t.Errorf("%d names, %d versions", c.Names(), c.Versions())
	}
	if got := refs(slices.Collect(c.All())); !slices.Equal(got,
		[]topology.TemplateRef{"a@2", "a@1", "b@1", "c@1", "d@1"}) {
		t.Errorf("All = %v", got)
	}
}

// The version published last decides: retired it covers nothing, and no version
// before it comes to life; published again it covers events again.
func TestRetired(t *testing.T) {
	records := []topology.TemplateRecord{
		sms("a", "1", 1, "order"), sms("a", "2", 2, "order"), changed(true, sms("a", "2", 3, "order")),
		sms("a", "1", 4, "order"),
	}
	for n, want := range []topology.TemplateRef{"", "a@1", "a@2", "", "a@1"} {
		c := catalogueOf(t, records[:n]...)
		var got topology.TemplateRef
		if e, ok := c.Live("a"); ok {
			got = e.Ref()
		}
		candidates := refs(c.Candidates("order", topology.SMS))
		if got != want || c.HasType("order") != (want != "") || len(candidates) > 0 != (want != "") {
			t.Errorf("after %d records %q is live, and candidates are %v; want %q", n, got, candidates, want)
		}
		if _, kept := c.ByRef("a@2"); n >= 2 && !kept {
			t.Errorf("after %d records a@2 is not there to render", n)
		}
	}
}

func TestCandidatesAreInTheOrderOfPreference(t *testing.T) {
	c := catalogueOf(t,
		sms("many", "1", 9, "order", "invoice"), sms("early", "1", 1, "order"), sms("late", "1", 2, "order"),
		sms("also", "1", 2, "order"),
	)
	want := []topology.TemplateRef{"also@1", "late@1", "early@1", "many@1"}
	if got := refs(c.Candidates("order", topology.SMS)); !slices.Equal(got, want) {
		t.Errorf("candidates are %v; want %v", got, want)
	}
}

func TestConditions(t *testing.T) {
	vip, rich, plain := sms("vip", "1", 1, "order"), sms("rich", "1", 2, "order"), sms("plain", "1", 3, "order")
	vip.When, rich.When = `ctx.vip && event.country == "FI"`, `ctx.total > 100`
	c := catalogueOf(t, plain, rich, vip)
	candidates := c.Candidates("order", topology.SMS)
	if got := refs(candidates); !slices.Equal(got, []topology.TemplateRef{"vip@1", "rich@1", "plain@1"}) {
		t.Fatalf("candidates are %v", got)
	}
	facts := condition.NewFacts(&topology.Event{Country: "FI", Ctx: []byte(`{"vip":false,"total":"much"}`)})
	if holds, err := candidates[0].Holds(facts); holds || err != nil || candidates[0].Conditions() != 2 {
		t.Errorf("vip holds: %v, %v", holds, err)
	}
	var failed condition.Fault
	if _, err := candidates[1].Holds(facts); !errors.As(err, &failed) {
		t.Errorf("rich: %v", err)
	}
	if holds, err := candidates[2].Holds(facts); !holds || err != nil || candidates[2].Conditions() != 0 {
		t.Errorf("plain holds: %v, %v", holds, err)
	}
}

func TestEmptyCatalogue(t *testing.T) {
	var c catalogue.Catalogue
	_, byRef := c.ByRef("a@1")
	_, latest := c.Latest("a")
	if c.Candidates("a", topology.SMS) != nil || c.HasType("a") || byRef || latest || c.Names() != 0 ||
		c.Versions() != 0 {
		t.Error("the zero catalogue has something")
	}
}

func TestEntry(t *testing.T) {
	r := sms("a", "1", 1, "order")
	r.Bodies["sv"] = map[string]string{template.SMSText: "Hej {{.ctx.name}}"}
	e, _ := catalogueOf(t, r).ByRef("a@1")
	if body, distance := e.Languages().Nearest("sv-FI"); body != "sv" || distance == 0 {
		t.Errorf("body %q at %d", body, distance)
	}
	tmpl := e.Template()
	m, err := tmpl.Render(&topology.Event{Ctx: []byte(`{"name":"Kim"}`)}, "sv")
	if err != nil || m.Text != "Hej Kim" {
		t.Errorf("rendered %q, %v", m.Text, err)
	}
	if e.Template() != tmpl {
		t.Error("the version was compiled twice")
	}
}

func TestBadRecordsAreNotTaken(t *testing.T) {
	conditional, broken := sms("a", "1", 1, "order"), sms("a", "1", 1, "order")
	conditional.When = "ctx.vip >"
	broken.Bodies["en"][template.SMSText] = "{{"
	for _, r := range []topology.TemplateRecord{conditional, broken} {
		if _, err := catalogue.New(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

// A catalogue is what the last record of each version makes of it, however
// versions were mixed: the same as one built of those alone, in any order.
func TestTheOrderOfVersionsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		record := rapid.Custom(func(t *rapid.T) topology.TemplateRecord {
			return changed(rapid.Bool().Draw(t, "retired"), sms(
				rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
				rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "version"),
				rapid.IntRange(0, 3).Draw(t, "minute"),
				rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 1, 3).Draw(t, "types")...,
			))
		})
		records := rapid.SliceOfN(record, 0, 20).Draw(t, "records")
		last := map[topology.TemplateRef]topology.TemplateRecord{}
		for _, r := range records {
			last[r.Ref()] = r
		}
		var only []topology.TemplateRecord
		for _, r := range last {
			only = append(only, r)
		}
		slices.SortFunc(only, func(a, b topology.TemplateRecord) int { return a.PublishedAt.Compare(b.PublishedAt) })
		want, err := catalogue.New(records...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := catalogue.New(rapid.Permutation(only).Draw(t, "order")...)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := picture(want), picture(got); a != b {
			t.Fatalf("catalogues differ:\n%s\n%s", a, b)
		}
	})
}

// picture is everything that a catalogue says of names a to c and types x to z.
func picture(c *catalogue.Catalogue) string {
	s := fmt.Sprint(c.Names(), c.Versions(), refs(slices.Collect(c.All())))
	for _, eventType := range []string{"x", "y", "z"} {
		s += fmt.Sprint(" ", eventType, c.HasType(eventType), refs(c.Candidates(eventType, topology.SMS)))
	}
	return s
}

func many(tb testing.TB, n int) *catalogue.Catalogue {
	tb.Helper()
	records := make([]topology.TemplateRecord, n)
	for i := range records {
		records[i] = sms(fmt.Sprintf("template_%d", i), "1", i, fmt.Sprintf("type_%d", i))
	}
	c, err := catalogue.New(records...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func BenchmarkCandidates(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("templates=%d", n), func(b *testing.B) {
			c := many(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if len(c.Candidates("type_7", topology.SMS)) != 1 {
					b.Fatal("type_7 has no candidate")
				}
			}
		})
	}
}
