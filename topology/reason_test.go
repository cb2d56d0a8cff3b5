package topology

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const statusesDoc = "../docs/statuses.md"

// TestStatusesDoc: docs/statuses.md is made of the tables in the code.
func TestStatusesDoc(t *testing.T) {
	want := docOfStatuses()
	if *update {
		if err := os.WriteFile(statusesDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(statusesDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say: go generate ./topology", statusesDoc)
	}
}

func docOfStatuses() string {
	var b strings.Builder
	b.WriteString("# Statuses and reasons\n\n" +
		"Made of the tables in [status.go](../topology/status.go) and\n" +
		"[reason.go](../topology/reason.go) by `go generate ./topology`.\n\n" +
		"## Statuses\n\n" +
		"By rank: of two of the same redrive and attempt, the later in this list counts.\n\n" +
		"| Status | Name | Means | Final |\n|---|---|---|---|\n")
	for _, s := range statuses {
		final := ""
		if s.Final() {
			final = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Status, s.label, s.meaning, final)
	}
	b.WriteString("\n## Reasons\n\n" +
		"Why an event is where it is: one closed list for entries, statuses, logs, metrics and dead letters.\n\n" +
		"| Reason | Means | Goes with |\n|---|---|---|\n")
	for _, r := range reasons {
		with := "dead letters"
		if len(r.statuses) > 0 {
			with = "`" + strings.Join(texts(r.statuses), "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Reason, r.meaning, with)
	}
	return b.String()
}

func TestReasonsOf(t *testing.T) {
	for status, want := range map[Status]string{
		Pending: "", Sent: "", Expired: "expired external",
		NotCovered:      "invalid no_template_for_type no_template_for_channel conditions_false condition_failed",
		PendingDelivery: "scheduled quiet_hours paused transient provider_down external",
		Ignored:         "missing_address invalid_address suppressed capped killed external",
	} {
		if got := strings.Join(texts(ReasonsOf(status)), " "); got != want {
			t.Errorf("%s has the reasons %s, want %s", status, got, want)
		}
	}
}
