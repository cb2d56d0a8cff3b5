// Package mutants tests the tests: it makes defects in the program, one at a time, and wants the simulation to find
// each within three plans.
package mutants

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var try = flag.Bool("try", false, "make the defects, and not only look whether they can be made: some minutes (make mutants)")

// mutants are defects, each in the place of a piece of code that there is once.
var mutants = []struct{ defect, file, code, instead string }{
	{"offsets are committed before what came of the records is published", "consumer/pipeline.go",
		"	if err := p.publish(p.publishing, h.out); err != nil {\n\t\treturn false\n\t}\n\tacknowledge(h.next, h.work)\n",
		"	acknowledge(h.next, h.work)\n\tif err := p.publish(p.publishing, h.out); err != nil {\n\t\treturn false\n\t}\n"},
	{"the offset that is committed is one too far", "consumer/pipeline.go",
		"p.ledger.ack(string(p.topic), p.partition, next, work)", "p.ledger.ack(string(p.topic), p.partition, next+1, work)"},
	{"a broker that has too few replicas is taken to have written", "producer/publisher.go",
		"case w.err == nil:", "case w.err == nil || errors.Is(w.err, kafka.NotEnoughReplicas):"},
	{"no dead letter is written", "consumer/match/handler.go",
		"	m.out = append(m.out, m.handler.Names.DeadLetter(m.handler.Lane, r, fault, topology.RoleMatch, m.now))\n", ""},
	{"a job that has an outcome is claimed again", "consumer/deliver/claim.lua",
		"if state == 'retry' or state == 'ambiguous' or state == 'final' then return was end", ""},
	{"a claim whose lease has ended is taken for a new one", "consumer/deliver/claim.lua",
		"return sent == '' and 0 or sent == 'expired' and 1 or 3", "return 0"},
	{"the last entry wins, whatever its rank", "consumer/status/merge.lua",
		"local won = not old_rank or rank > old_rank", "local won = true"},
	{"a store that does not answer is taken to have written", "consumer/status/handler.go",
		"err := h.Store.Write(ctx, said.states); err != nil {", "err := h.Store.Write(ctx, said.states); err != nil && ctx == nil {"},
	{"what is scheduled is sent at once", "consumer/match/handler.go",
		"d.Reason == topology.ReasonScheduled {", "d == nil && d.Reason == topology.ReasonScheduled {"},
	{"nobody is suppressed", "consumer/deliver/pipeline.go",
		"answer.Reason != topology.NoReason {", "answer.Reason != topology.NoReason && d == nil {"},
	{"nothing expires", "topology/job.go", "return !j.Expires.IsZero() && ", "return j == nil && "},
	{"nothing is paused", "consumer/control/verdict.go",
		"return v.Order != nil && v.Order.Action == topology.Pause", "return v.Order != nil && v.Order == nil"},
	{"nobody is killed", "consumer/control/verdict.go",
		"return v.Order != nil && v.Order.Action == topology.Kill", "return v.Order != nil && v.Order == nil"},
}

func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("none", func(t *testing.T) { // else what is found below may be something else
		if *try && found(t, root, nil) {
			t.Error("the simulation fails without a defect")
		}
	})
	for _, m := range mutants {
		t.Run(m.defect, func(t *testing.T) {
			path := filepath.Join(root, m.file)
			code, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(code), m.code); n != 1 || m.code == m.instead {
				t.Fatalf("%s has the code %d times, not once: write the defect anew", m.file, n)
			}
			if !*try {
				return
			}
			changed := filepath.Join(t.TempDir(), filepath.Base(m.file))
			if err := os.WriteFile(changed, []byte(strings.Replace(string(code), m.code, m.instead, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if !found(t, root, map[string]string{path: changed}) {
				t.Errorf("not found by %d plans", plans)
			}
		})
	}
}

var failed = regexp.MustCompile(`--- FAIL: TestEachFault/plan/`)

const plans = 3

// found builds the simulation with files in place of others, and reports whether it fails.
func found(t *testing.T, root string, replaced map[string]string) bool {
	overlay, binary := filepath.Join(t.TempDir(), "overlay.json"), filepath.Join(t.TempDir(), "simulation")
	text, _ := json.Marshal(map[string]any{"Replace": replaced})
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, "./cmd/meddela/internal/simulation")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for seed := 1; seed <= plans; seed++ {
		began := time.Now()
		run := exec.Command(binary, "-test.run", "TestEachFault", "-test.timeout", "10m", "-one",
			"-seed", strconv.Itoa(seed))
		run.Dir = t.TempDir()
		if out, _ := run.CombinedOutput(); failed.Match(out) {
			_, what, _ := strings.Cut(string(out), "simulation_test.go:")
			t.Logf("found by plan %d after %s: …%.200s", seed, time.Since(began).Round(time.Second), what)
			return true
		}
	}
	return false
}
