package main

import (
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/meddela/meddela/topology"
)

const (
	memoryGoal = 100 // MB
	// flat is how much more memory, in MB, the end of a backlog may take than its middle.
	flat = 10
)

// memoryFigure lets events wait and has one role after the other work them off, while it looks at how much memory each
// takes.
func memoryFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := count(flags, "events", 1_000_000, "how many events wait")
	return func(b *bench) []Table {
		s := b.newSystem("memory", lane)
		s.publishSamples()
		s.fill(s.names.Events(lane), *events, numbered)
		t := Table{
			Title:   fmt.Sprintf("memory, %s events of 1 KB waiting", thousands(float64(*events))),
			Columns: []string{"role", "records", "records/s", "most MB", "in the middle", "at the end"},
		}
		for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleStatus} {
			s.remember(&t, role)
		}
		return []Table{t}
	}
}

// remember has a role work off what it reads. Its memory in the middle and at the end is the mean of that fifth of the
// samples.
func (s *system) remember(t *Table, role topology.Role) {
	topics := s.names.Reads(role, lane)
	records, began := s.ends(topics...), time.Now()
	p := s.start(role, lane)
	var samples []float64
	most := 0.0
	s.await("memory: "+string(role), 250*time.Millisecond, func() (done, want int) {
		now, peak := memory(p.cmd.Process.Pid)
		samples, most = append(samples, now), max(most, peak)
		for _, group := range s.names.Groups(role, lane) {
			want = max(want, s.behind(group, topics...))
		}
		return records - want, records
	})
	rate := float64(records) / time.Since(began).Seconds()
	s.stop()
	n := len(samples)
	middle, last := mean(samples[2*n/5:max(3*n/5, 2*n/5+1)]), mean(samples[min(4*n/5, n-1):])
	most = max(most, slices.Max(samples))
	t.Rows = append(t.Rows, []any{string(role), records, rate, most, middle, last})
	t.Goals = append(t.Goals, Goal{
		fmt.Sprintf("%s: %.0f MB at most, %+.0f MB from the middle to the end; the goal is below %d MB, and flat",
			role, most, last-middle, memoryGoal),
		most < memoryGoal && last-middle < flat,
	})
}
