package topology

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestStatusesDoc: docs/statuses.md has every status and reason, in order, with
// what it goes with, and says of each what it means.
func TestStatusesDoc(t *testing.T) {
	page, err := os.ReadFile("../docs/statuses.md")
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]string{{"Status", "Final"}, {"---", "---"}}
	for _, s := range statuses {
		final := ""
		if s.Final() {
			final = "yes"
		}
		want = append(want, [2]string{"`" + string(s) + "`", final})
	}
	want = append(want, [2]string{"Reason", "Goes with"}, [2]string{"---", "---"})
	for _, group := range reasons {
		with := "dead letters"
		if len(group.statuses) > 0 {
			with = "`" + strings.Join(texts(group.statuses), "`, `") + "`"
		}
		for _, r := range group.reasons {
			want = append(want, [2]string{"`" + string(r) + "`", with})
		}
	}
	var got [][2]string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 {
			continue
		}
		got = append(got, [2]string{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[len(cells)-1])})
		if strings.TrimSpace(cells[len(cells)-2]) == "" {
			t.Errorf("%s means nothing", cells[0])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/statuses.md has\n%s, want\n%s", got, want)
	}
}

func TestReasonsOf(t *testing.T) {
	for status, want := range map[Status]string{
		Pending: "", Sent: "", Expired: "expired external",
		NotCovered:      "invalid internal_error no_template_for_type no_template_for_channel conditions_false condition_failed",
		PendingDelivery: " scheduled quiet_hours paused transient provider_down external",
		Ignored:         "missing_address invalid_address suppressed capped killed external",
	} {
		if got := strings.Join(texts(ReasonsOf(status)), " "); got != want {
			t.Errorf("%s has the reasons %s, want %s", status, got, want)
		}
	}
}
