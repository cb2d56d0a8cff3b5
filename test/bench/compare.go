package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/procfs"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// work is a finished piece of work: how much, and what it took, in CPU time by process too.
type work struct {
	records int
	cpu     map[string]time.Duration
	elapsed time.Duration
}

// contestant does the same work as its rivals.
type contestant struct {
	name string
	run  func() work
}

// compare runs rivals by turns, round by round, in an order that changes. The first of them is ours, the second the one
// that it is held against. One run of the first, which is not counted, warms the servers up.
//
// The ratio is the median over the rounds of ours to the second's rate in the same round. The ratio by CPU time, of
// this process and those named together, is what it tends to where CPU is all that is short: what else runs on the
// machine hardly moves it.
func compare(title, what string, rounds int, goal float64, rivals ...contestant) Table {
	progress("%s: warming up", title)
	rivals[0].run()
	rates, costs := make([][]float64, len(rivals)), make([]map[string][]float64, len(rivals))
	for i := range costs {
		costs[i] = make(map[string][]float64)
	}
	for round, i := range turns(rounds, len(rivals)) {
		progress("%s: round %d of %d, %s", title, round, rounds, rivals[i].name)
		done := rivals[i].run()
		rates[i] = append(rates[i], float64(done.records)/done.elapsed.Seconds())
		for process, used := range done.cpu {
			costs[i][process] = append(costs[i][process], float64(used.Nanoseconds())/1000/float64(done.records))
		}
	}
	processes := slices.Sorted(maps.Keys(costs[0]))
	t := Table{Title: title, Columns: []string{"", what + "/s", "least", "most"}}
	for _, p := range processes {
		t.Columns = append(t.Columns, "µs CPU "+p)
	}
	totals := make([]float64, len(rivals))
	for i, rival := range rivals {
		row := []any{rival.name, median(rates[i]), slices.Min(rates[i]), slices.Max(rates[i])}
		for _, p := range processes {
			row = append(row, median(costs[i][p]))
			totals[i] += median(costs[i][p])
		}
		t.Rows = append(t.Rows, row)
	}
	ratios := make([]float64, rounds)
	for round := range ratios {
		ratios[round] = rates[0][round] / rates[1][round]
	}
	ratio := median(ratios)
	t.Goals = []Goal{{
		fmt.Sprintf("%s at %.2f of %s (by round %.2f to %.2f; by CPU time %.2f); the goal is %.2f", rivals[0].name, ratio,
			rivals[1].name, slices.Min(ratios), slices.Max(ratios), totals[1]/totals[0], goal),
		ratio >= goal,
	}}
	return t
}

// turns are rounds in which each rival takes its turn. Each is first as often as any other, and follows each other one
// as often.
func turns(rounds, rivals int) iter.Seq2[int, int] {
	return func(yield func(round, rival int) bool) {
		for round := range rounds {
			for i := range rivals {
				if round%2 == 1 {
					i = rivals - 1 - i
				}
				if !yield(round+1, i) {
					return
				}
			}
		}
	}
}

// drainer is a contestant that works off some records, each time anew: begin starts it, and returns what counts those
// that are done. What is measured is the time from the first to the last.
func (s *system) drainer(name string, records int, begin func() (count func() int)) contestant {
	return contestant{name, func() work {
		count, before := begin(), 0
		defer s.stop()
		s.await(name, time.Millisecond, func() (done, want int) {
			before = count()
			return before, 1
		})
		metered := s.meter()
		s.await(name, time.Millisecond, func() (done, want int) { return count(), records })
		return metered(records - before)
	}}
}

// loopDrainer is a drainer whose loop reads some topics, each time as a new group. All is done when all outputs are
// acknowledged.
func (s *system) loopDrainer(
	name string, records int, handler consumer.Handler, topics ...topology.Topic,
) contestant {
	return s.drainer(name, records, func() func() int {
		role := topology.Role(fmt.Sprintf("%.5s-%d", name, len(s.groups)))
		s.groups = append(s.groups, s.names.Group(role, lane))
		var handled, out atomic.Int64
		counting := func(ctx context.Context, batch consumer.Batch) (consumer.Result, error) {
			result, err := handler.Handle(ctx, batch)
			out.Add(int64(len(result.Out)))
			handled.Add(int64(result.Handled))
			return result, err
		}
		loop := s.run(role, handlerFunc(counting), topics...)
		return func() int {
			done := int(handled.Load())
			if done >= records && loop.Stats().Published() < out.Load() {
				return records - 1
			}
			return done
		}
	})
}

type handlerFunc func(context.Context, consumer.Batch) (consumer.Result, error)

func (h handlerFunc) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	return h(ctx, b)
}

// cpuTime is how much CPU time a process has used; 0 where the system has no /proc.
func cpuTime(pid int) time.Duration {
	process, _ := procfs.NewProc(pid)
	stat, _ := process.Stat()
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

// memory is how many MB a process holds in memory now, and at most so far; 0 where the system has no /proc.
func memory(pid int) (now, most float64) {
	process, _ := procfs.NewProc(pid)
	status, _ := process.NewStatus()
	return float64(status.VmRSS) / (1 << 20), float64(status.VmHWM) / (1 << 20)
}

// meter measures this process, the roles' and the servers, until stop is called.
func (s *system) meter() (stop func(records int) work) {
	pids := map[string]int{"bench": os.Getpid()}
	maps.Copy(pids, s.servers)
	for _, p := range s.running() {
		pids[string(p.role)] = p.cmd.Process.Pid
	}
	before, started := make(map[string]time.Duration), time.Now()
	for name, pid := range pids {
		before[name] = cpuTime(pid)
	}
	return func(records int) work {
		w := work{records, make(map[string]time.Duration), time.Since(started)}
		for name, pid := range pids {
			w.cpu[name] = max(cpuTime(pid)-before[name], 0)
		}
		return w
	}
}

// quantile is the value below which a share q of the values lies, by the nearest rank; 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// slope is how much the values grow from one to the next: the median of the slopes between any two of them (Theil and
// Sen). A surge that passes does not move it, wherever it is; a steady growth does.
func slope(values []float64) float64 {
	var slopes []float64
	for i, from := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-from)/float64(j-i))
		}
	}
	return median(slopes)
}
