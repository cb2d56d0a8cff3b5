package authoring_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// record is a version of a template; what it says is its text.
func record(name, text string, types ...string) topology.TemplateRecord {
	r := topology.TemplateRecord{
		Name: name, Types: types, Channel: topology.SMS, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": {"sms.txt": text}},
	}
	r.Version = authoring.Version(r)
	return r
}

// site is a templates topic and what a consumer makes of it.
type site struct {
	t *testing.T
	shelf
	at time.Time
}

func newSite(t *testing.T) *site { return &site{t: t, at: now} }

func (s *site) live() *catalogue.Catalogue { return s.catalogue(s.t) }

// write writes changes, one minute after the last.
func (s *site) write(changes []authoring.Change, err error) {
	s.t.Helper()
	s.at = s.at.Add(time.Minute)
	if err == nil {
		_, err = authoring.Write(s.t.Context(), s, "test.templates", changes, s.at)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if overtaken := authoring.Overtaken(s.live(), changes); len(overtaken) > 0 {
		s.t.Errorf("not live: %+v", overtaken)
	}
}

func (s *site) publish(records ...topology.TemplateRecord) {
	s.t.Helper()
	s.write(authoring.PlanPublication(s.live(), records), nil)
}

func (s *site) retire(names ...string) {
	s.t.Helper()
	s.write(authoring.PlanRetirement(s.live(), names))
}

func kindsOf(changes ...authoring.Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, fmt.Sprint(c.Record.Name, " ", c.Kind))
	}
	return strings.Join(words, ", ")
}

func TestVersionIsNotOfTheState(t *testing.T) {
	r := record("a", "one", "order")
	before := r.Version
	r.Retired = true
	if authoring.Version(r) != before {
		t.Error("a version that is retired has another version")
	}
}

func TestRetireAndPublishAgain(t *testing.T) {
	s := newSite(t)
	one, two := record("a", "one", "order"), record("a", "two", "order")
	s.publish(one)
	s.publish(two)
	s.retire("a")
	if _, ok := s.live().Live("a"); ok || len(s.live().Candidates("order", topology.SMS)) != 0 {
		t.Error("a retired template is live")
	}
	for _, r := range []topology.TemplateRecord{one, two} {
		if _, ok := s.live().ByRef(r.Ref()); !ok {
			t.Errorf("%s cannot be rendered any more", r.Ref())
		}
	}
	again, err := authoring.PlanRetirement(s.live(), []string{"a", "a"})
	if err != nil || kindsOf(again...) != "a unchanged" {
		t.Errorf("retiring again: %s, %v", kindsOf(again...), err)
	}
	for _, test := range []struct {
		record topology.TemplateRecord
		want   string
	}{{two, "a revived"}, {one, "a restored"}, {record("a", "three", "order"), "a changed"}} {
		if got := kindsOf(authoring.PlanPublication(s.live(), []topology.TemplateRecord{test.record})...); got != test.want {
			t.Errorf("publishing after retirement: %s, want %s", got, test.want)
		}
	}
	s.publish(one)
	if e, ok := s.live().Live("a"); !ok || e.Ref() != one.Ref() {
		t.Error("what was published after the retirement is not live")
	}
}

// TestProposed: what would be live is what becomes live, also where a version that
// is there already comes back.
func TestProposed(t *testing.T) {
	s := newSite(t)
	one, two := record("a", "one", "order"), record("a", "two", "order")
	propose := func(r topology.TemplateRecord) {
		t.Helper()
		changes := authoring.PlanPublication(s.live(), []topology.TemplateRecord{r})
		proposed, refs, err := authoring.Proposed(s.live(), changes, s.at.Add(time.Minute))
		live, ok := proposed.Live("a")
		if err != nil || !slices.Equal(refs, []topology.TemplateRef{r.Ref()}) || !ok || live.Ref() != r.Ref() {
			t.Errorf("%s: would write %v, %v", r.Ref(), refs, err)
		}
	}
	propose(one)
	s.publish(one)
	propose(two)
	s.publish(two)
	propose(one)
	s.retire("a")
	propose(two)
}

func TestRollback(t *testing.T) {
	s := newSite(t)
	one, two, three := record("a", "one", "order"), record("a", "two", "order"), record("a", "three", "order")
	for _, r := range []topology.TemplateRecord{one, two, three} {
		s.publish(r)
	}
	rollback := func(version string, want topology.TemplateRecord, kind authoring.Kind) {
		t.Helper()
		change, err := authoring.PlanRollback(s.live(), "a", version)
		if err != nil || change.Record.Ref() != want.Ref() || change.Kind != kind || change.Record.Retired {
			t.Fatalf("rollback to %q: %s %s, %v; want %s %s", version, change.Kind, change.Record.Ref(), err, kind, want.Ref())
		}
		s.write([]authoring.Change{change}, nil)
	}
	rollback("", two, authoring.Restored)
	rollback("", three, authoring.Restored) // back where it began
	rollback(three.Version, three, authoring.Unchanged)
	rollback(one.Version[:8], one, authoring.Restored)
	s.retire("a")
	rollback("", one, authoring.Revived)
	s.retire("a")
	rollback(two.Version, two, authoring.Restored)
}

func TestRollbackErrors(t *testing.T) {
	s := newSite(t)
	s.publish(record("a", "one", "order"), record("letter_to_all", "one", "order"))
	wantError := func(err error, parts ...string) bool {
		isMissing := func(part string) bool { return !strings.Contains(err.Error(), part) }
		return err != nil && !slices.ContainsFunc(parts, isMissing)
	}
	if _, err := authoring.PlanRollback(s.live(), "a", ""); !wantError(err, "is the only version of its template") {
		t.Errorf("the only version: %v", err)
	}
	if _, err := authoring.PlanRollback(s.live(), "leter_to_all", ""); !wantError(err, "did you mean letter_to_all?") {
		t.Errorf("an unknown name: %v", err)
	}
	for i := range 40 {
		s.publish(record("a", fmt.Sprint(i), "order"))
	}
	if _, err := authoring.PlanRollback(s.live(), "a", "x"); !wantError(err, "there is no version x of a: ", ", …") ||
		strings.Count(err.Error(), ", ") != 10 {
		t.Errorf("an unknown version: %v", err)
	}
	first := func(e *catalogue.Entry) string { return e.Record().Version[:1] }
	counts := map[string]int{}
	for e := range s.live().All() {
		if e.Record().Name == "a" {
			counts[first(e)]++
		}
	}
	for prefix, n := range counts {
		_, err := authoring.PlanRollback(s.live(), "a", prefix)
		ambiguous := fmt.Sprintf("%d versions of a begin with %s: give more of it", n, prefix)
		if n == 1 && err != nil || n > 1 && !wantError(err, ambiguous) {
			t.Errorf("%d versions begin with %s: %v", n, prefix, err)
		}
	}
}

func TestGaps(t *testing.T) {
	s := newSite(t)
	s.publish(record("a", "one", "order", "parcel"), record("b", "one", "parcel"), record("c", "one", "news"))
	gaps := func(changes []authoring.Change, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		proposed, _, err := authoring.Proposed(s.live(), changes, s.at)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(authoring.Gaps(s.live(), proposed))
	}
	if got := gaps(authoring.PlanRetirement(s.live(), []string{"a"})); got != "[{order sms}]" {
		t.Errorf("retiring a: %s", got)
	}
	if got := gaps(authoring.PlanRetirement(s.live(), []string{"c", "b",
		"a"})); got != "[{news sms} {order sms} {parcel sms}]" {
		t.Errorf("retiring all: %s", got)
	}
	if got := gaps(authoring.PlanPublication(s.live(), []topology.TemplateRecord{record("c", "one", "letter"),
		record("d", "x", "news")}), nil); got != "[]" {
		t.Errorf("one takes the type of another: %s", got)
	}
	if got := gaps(authoring.PlanPublication(s.live(), []topology.TemplateRecord{record("c", "one", "letter")}),
		nil); got != "[{news sms}]" {
		t.Errorf("a type is dropped: %s", got)
	}
}

func TestOvertaken(t *testing.T) {
	s := newSite(t)
	one := record("a", "one", "order")
	changes := authoring.PlanPublication(s.live(), []topology.TemplateRecord{one, record("b", "one", "order")})
	s.write(changes, nil)
	s.retire("a")
	if got := authoring.Overtaken(s.live(), changes); !slices.Equal(got, []topology.TemplateRef{one.Ref()}) {
		t.Errorf("overtaken: %v", got)
	}
}

func TestDiff(t *testing.T) {
	before := record("a", "one\ntwo\nthree\n", "order")
	before.Partials = map[string]string{"sign.txt": "us\n"}
	after := before
	after.TTL, after.When = topology.Duration(90*time.Minute), "event.country == 'SE'\n&& ctx.vip"
	after.Bodies = map[string]map[string]string{"en": {"sms.txt": "one\n2\nthree"}, "sv": {"sms.txt": "ett\n"}}
	after.Partials = nil
	got := ""
	for _, d := range authoring.Diff(&before, &after) {
		got += d.File + "\n" + strings.Join(d.Lines, "\n") + "\n"
	}
	want := `template.yaml
@@ -2,2 +2,5 @@
 channel: sms
 default_language: en
+when: event.country == 'SE'
+  && ctx.vip
+ttl: 1h30m
en/sms.txt
@@ -1,3 +1,3 @@
 one
-two
-three
+2
+three
\ No newline at end of file
sv/sms.txt
@@ -0,0 +1 @@
+ett
_partials/sign.txt
@@ -1 +0,0 @@
-us
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if d := authoring.Diff(&before, &before); d != nil {
		t.Errorf("the same differs: %v", d)
	}
	if d := authoring.Diff(nil, &before); len(d) != 3 {
		t.Errorf("a new template: %d files", len(d))
	}
}

func TestDiffIsBounded(t *testing.T) {
	before, after := record("a", strings.Repeat("a\n", 5000), "order"), record("a", strings.Repeat("b\n", 5000), "order")
	diffs := authoring.Diff(&before, &after)
	if len(diffs) != 1 || len(diffs[0].Lines) > 60 || len(diffs[0].Lines)+diffs[0].Hidden != 10001 {
		t.Errorf("%d lines, %d hidden", len(diffs[0].Lines), diffs[0].Hidden)
	}
	after = record("a", strings.Repeat("b\n", 100<<10), "order")
	if diffs = authoring.Diff(&before, &after); !slices.Equal(diffs[0].Lines,
		[]string{"too large to compare line by line: 10000 bytes, then 204800"}) {
		t.Errorf("%v", diffs[0].Lines)
	}
}
