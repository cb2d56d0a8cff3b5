package metrics

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/audit"
	"github.com/meddela/meddela/topology"
)

// TestAnAuditorThatHasNeverLooked says so, and not that nothing is lost.
func TestAnAuditorThatHasNeverLooked(t *testing.T) {
	m := New("", nil, "dev")
	m.Audit(audit.New(audit.Config{Lane: topology.Batch}))
	text := textOf(t, m)
	if !strings.Contains(text, `meddela_audit_looked_timestamp_seconds{lane="batch"} 0`) ||
		strings.Contains(text, "meddela_audit_unaccounted{") {
		t.Error(text)
	}
}
