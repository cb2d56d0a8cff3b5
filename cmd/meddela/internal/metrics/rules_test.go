package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/audit"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/notify"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

const chart = "../../../../charts/meddela"

// shown are the names of all metrics that there are.
func shown(t *testing.T) map[string]bool {
	t.Helper()
	m := New(topology.Realtime, []topology.Role{topology.RoleMatch}, "dev").Of(topology.RoleMatch)
	m.Match().Decided(topology.Email, topology.Pending, "")
	m.Deliver()(topology.Email).Attempted(&deliver.Attempt{Number: 1, Provider: "a", Status: topology.Sent})
	status := m.Status()
	status.Changed(&topology.State{Status: topology.Sent, Template: "t@1"})
	m.Notices(new(notify.Handler))
	m.Suppressions(new(suppress.Copy))
	m.Templates(catalogue.NewFollower(nil, zerolog.Nop()))
	sandbox, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := failover.New(failover.Config{Name: "email", Backends: []failover.Backend{{Provider: sandbox}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Delivery(topology.Email, new(deliver.Counters), out)
	m.Loop(consumer.New(consumer.Config{}))
	m.Publishing(new(producer.Errors))
	monitor := New("", nil, "dev")
	monitor.Audit(audit.New(audit.Config{}))
	monitor.Lag().Measured(&lag.Report{Groups: []lag.Group{{Partitions: []lag.Partition{{}}}}})

	names := map[string]bool{ // shown only where there is something to say
		"meddela_redis_up": true, "meddela_redis_evicted_total": true,
		"meddela_redis_lost_timestamp_seconds": true, "meddela_redis_lost_records": true,
		"meddela_process_lag_records": true, "meddela_process_lag_seconds": true,
		"meddela_receipts_total": true, "meddela_audit_offsets_total": true, "meddela_audit_unaccounted": true,
		"meddela_catalogue_age_seconds": true, "meddela_catalogue_changed_timestamp_seconds": true,
	}
	for line := range strings.SplitSeq(textOf(t, m)+textOf(t, monitor), "\n") {
		if name, _, ok := strings.Cut(line, "{"); ok && !strings.HasPrefix(line, "#") {
			names[name] = true
		} else if name, _, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			names[name] = true
		}
	}
	return names
}

var (
	metricName = regexp.MustCompile(`\bmeddela_[a-z0-9_]+`)
	recordName = regexp.MustCompile(`\bmeddela:[a-z0-9_:]+`)

	inTable       = regexp.MustCompile("`([a-z_]+)(?:{[^}`]*})?`")
	histogramPart = regexp.MustCompile(`_(bucket|sum|count)$`)
)

type rules struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			For                 string
			Labels, Annotations map[string]string
		}
	}
}

func readRules(t *testing.T) (all rules) {
	t.Helper()
	text, err := os.ReadFile(chart + "/files/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestQueries: rules and dashboards ask for what there is.
func TestQueries(t *testing.T) {
	names := shown(t)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				names[rule.Record] = true
			}
		}
	}
	files, err := filepath.Glob(chart + "/files/dashboards/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	for _, file := range append(files, chart+"/files/rules.yaml", chart+"/files/rules_test.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		asked := append(metricName.FindAllString(string(text), -1), recordName.FindAllString(string(text), -1)...)
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		slices.Sort(asked)
		for _, name := range slices.Compact(asked) {
			if !names[name] {
				t.Errorf("%s asks for %s, which there is not", file, name)
			}
		}
	}
}

// TestDocumented: the tables in docs/observability.md have every metric, and no other.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(page), "\n## Metrics\n")
	tables, _, _ = strings.Cut(tables, "\n## ")
	names, told := shown(t), make(map[string]bool)
	for line := range strings.Lines(tables) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range inTable.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			name := "meddela_" + m[1]
			if told[name] = true; !names[name] && !names[name+"_count"] {
				t.Errorf("docs/observability.md has %s, which there is not", name)
			}
		}
	}
	for name := range names {
		base := histogramPart.ReplaceAllString(name, "")
		if strings.HasPrefix(name, "meddela_") && !told[name] && !told[base] {
			t.Errorf("%s is not in docs/observability.md", name)
		}
	}
}

// TestRunbooks: each alert says how bad it is, has a test of its time, and a
// section that says what to do; no section is left of an alert that is gone.
func TestRunbooks(t *testing.T) {
	book, err := os.ReadFile("../../../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(chart + "/files/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := make(map[string]bool)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue
			}
			alerts[rule.Alert] = true
			section := "## " + rule.Alert + "\n"
			switch {
			case !strings.Contains(string(book), section):
				t.Errorf("%s has no section in docs/alerts.md", rule.Alert)
			case rule.Annotations["runbook"] != "docs/alerts.md#"+strings.ToLower(rule.Alert):
				t.Errorf("%s: runbook %q", rule.Alert, rule.Annotations["runbook"])
			case !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) ||
				rule.Annotations["summary"] == "":
				t.Errorf("%s: %v %v", rule.Alert, rule.Labels, rule.Annotations)
			case !strings.Contains(string(tests), `alertname="`+rule.Alert+`"`):
				t.Errorf("%s has no test", rule.Alert)
			}
			_, body, _ := strings.Cut(string(book), section)
			body, _, _ = strings.Cut(body, "\n## ")
			if rule.For != "" && !strings.Contains(body, "after "+strings.Replace(rule.For, "m", " m", 1)+".") {
				t.Errorf("%s: its section does not say that it fires after %s", rule.Alert, rule.For)
			}
			for _, part := range []string{"*Look*", "*Mend*"} {
				if !strings.Contains(body, part) {
					t.Errorf("%s: its section has no %s", rule.Alert, part)
				}
			}
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (Meddela\w+)$`).FindAllStringSubmatch(string(book), -1) {
		if !alerts[heading[1]] {
			t.Errorf("docs/alerts.md has a section on %s, which there is not", heading[1])
		}
	}
}
