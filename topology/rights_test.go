package topology

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestRightsPage holds docs/rights.md to the tables here.
func TestRightsPage(t *testing.T) {
	const page, begin, end = "../docs/rights.md", "<!-- made by go test ./topology -update -->\n", "<!-- end -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the tables", page)
	}
	want := head + begin + rightsTables() + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s differs from topology/rights.go: go test ./topology -run TestRightsPage -update writes it anew", page)
	}
}

func rightsTables() string {
	var b strings.Builder
	b.WriteString("\n| Who | Kafka: reads topics | writes topics | reads groups | besides |\n|---|---|---|---|---|\n")
	for _, u := range Users() {
		cells, all := make(map[string][]string), (Topics{}).Rights(u, "<lane>")
		for _, r := range all {
			name, kind := "`"+string(r.Topic)+r.Group+"`", string(r.Operation)
			switch {
			case u == User(RoleAudit) && r.Operation == OpDescribe:
				kind, name = "besides", "Describe on "+name
			case r.Operation == OpCreate || r.Operation == OpDescribe && r.Topic != "" || r.Operation == OpDescribeConfigs:
				kind, name = "besides", string(r.Operation)+" on all topics"
			case r.Operation == OpDescribe:
				kind, name = "besides", "Describe on all groups"
			case r.Group != "":
				kind = "group"
			}
			if !slices.Contains(cells[kind], name) {
				cells[kind] = append(cells[kind], name)
			}
		}
		for _, r := range (Topics{}).Rights(u, Batch) { // what the other lane does not need
			general := Right{Operation: r.Operation, Topic: Topic(strings.Replace(string(r.Topic), "batch", "<lane>", 1)),
				Group: strings.Replace(r.Group, "batch", "<lane>", 1)}
			if !slices.Contains(all, r) && !slices.Contains(all, general) {
				cells["besides"] = append(cells["besides"], fmt.Sprintf("%s on `%s` (lane batch)", r.Operation, r.Topic))
			}
		}
		fmt.Fprintf(&b, "| %s |", u)
		for _, kind := range []string{"Read", "Write", "group", "besides"} {
			fmt.Fprintf(&b, " %s |", strings.Join(cells[kind], ", "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| Who | Redis: keys | channels | commands |\n|---|---|---|---|\n")
	for _, u := range Users() {
		rights := (Keys{}).Rights(u)
		if len(rights.Keys) == 0 {
			continue
		}
		var commands []string
		for _, c := range rights.Commands {
			commands = append(commands, "+"+strings.Fields(c)[0])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", u, listed("~", rights.Keys), listed("&", rights.Channels), strings.Join(commands, " "))
	}
	return b.String() + "\n"
}

func listed(sign string, patterns []string) string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = "`" + sign + p + "`"
	}
	return strings.Join(out, ", ")
}

// TestRightsAreLeast: no role may write what upstream or operators write, nor read another lane.
func TestRightsAreLeast(t *testing.T) {
	names := Topics{Prefix: DefaultPrefix}
	for _, role := range append(Roles(), RoleNotify) {
		for _, r := range names.Rights(User(role), Realtime) {
			if lane, ok := names.LaneOf(r.Topic); ok && lane != Realtime {
				t.Errorf("%s of %s: %s", role, Realtime, r)
			}
			operators := []Topic{names.Events(Realtime), names.Redrive(Realtime), names.Templates(), names.Control(),
				names.Suppressions(), names.Tasks()}
			if r.Operation != OpRead && slices.Contains(operators, r.Topic) {
				t.Errorf("%s: %s", role, r)
			}
		}
	}
}
