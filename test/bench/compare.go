package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// work is a finished piece of work: how much, and what it took.
type work struct {
	records int
	cpuUsage
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
	for round := 1; round <= rounds; round++ {
		for _, i := range turn(len(rivals), round) {
			progress("%s: round %d of %d, %s", title, round, rounds, rivals[i].name)
			done := rivals[i].run()
			rates[i] = append(rates[i], float64(done.records)/done.elapsed.Seconds())
			for process, used := range done.cpu {
				costs[i][process] = append(costs[i][process], float64(used.Nanoseconds())/1000/float64(done.records))
			}
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
			if p != others {
				totals[i] += median(costs[i][p])
			}
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

// turn is the order of a round: each rival is first as often as any other, and follows each other one as often.
func turn(rivals, round int) []int {
	order := make([]int, rivals)
	for i := range order {
		order[i] = i
	}
	if round%2 == 0 {
		slices.Reverse(order)
	}
	return order
}

// drainer is a contestant whose loop works off the records of some topics, each time as a new group. The time counts
// from the first batch that the handler is given until all of its outputs are acknowledged.
func (s *system) drainer(name string, records int, handler consumer.Handler, topics ...topology.Topic) contestant {
	runs := 0
	return contestant{name, func() work {
		runs++
		role := topology.Role(fmt.Sprintf("%.5s-%d", name, runs))
		s.groups = append(s.groups, s.names.Group(role, lane))
		transport := s.broker.Transport()
		defer transport.CloseIdleConnections()
		counted := &counter{Handler: handler, started: make(chan struct{})}
		loop := s.loop(s.names, role, topics, counted, transport)
		running, stop := context.WithCancel(s.ctx)
		ended := make(chan error, 1)
		go func() { ended <- loop.Run(running) }()
		defer func() { stop(); check(<-ended) }()
		select {
		case <-counted.started:
		case <-time.After(patience):
			check(fmt.Errorf("the loop was given no records within %v", patience))
		case <-s.ctx.Done():
			check(s.ctx.Err())
		}
		metered := s.meter(nil)
		s.await(name, time.Millisecond, func() (done, want int) {
			if handled := int(counted.handled.Load()); handled < records {
				return handled, records + 1
			}
			return int(loop.Stats().Published()), int(counted.out.Load())
		})
		return work{records, metered()}
	}}
}

// counter counts what a handler does.
type counter struct {
	consumer.Handler
	once         sync.Once
	started      chan struct{}
	handled, out atomic.Int64
}

func (c *counter) Handle(ctx context.Context, batch consumer.Batch) (consumer.Result, error) {
	c.once.Do(func() { close(c.started) })
	result, err := c.Handler.Handle(ctx, batch)
	c.out.Add(int64(len(result.Out)))
	c.handled.Add(int64(result.Handled))
	return result, err
}
