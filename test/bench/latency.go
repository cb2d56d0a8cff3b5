package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

const warmUp = 4 * time.Second

// latencyFigure measures how long an event takes from when it is due to be published until Redis says that it is sent;
// and beside it how long the same number of bare hops takes.
func latencyFigure(flags *flag.FlagSet) func(*bench) []Table {
	rate := flags.Float64("rate", 500, "events a second")
	hold := flags.Duration("for", time.Minute, "how long each side is measured, all rounds together")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		sides := []*latencySide{{system: b.startPipeline("latency")}, {system: b.startFloor()}}
		for _, side := range sides {
			side.publish(*rate, warmUp)
		}
		each := *hold / time.Duration(*rounds)
		for round := 1; round <= *rounds; round++ {
			for _, i := range turn(len(sides), round) {
				progress("latency: round %d of %d, %v", round, *rounds, each)
				metered := b.meter(sides[i].pids())
				arrivals := sides[i].publish(*rate, each)
				sides[i].used.add(metered())
				sides[i].add(arrivals)
			}
		}
		return latencyTables(*rate, sides[0], sides[1])
	}
}

// startPipeline starts the roles that make events into statuses.
func (b *bench) startPipeline(name string) *system {
	s := b.newSystem(name, lane)
	s.publishSamples()
	for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleStatus} {
		s.start(role, lane)
	}
	return s
}

// latencySide is what one side has shown.
type latencySide struct {
	*system
	arrivals   []arrival
	p50s, p99s []float64 // by round
	used       cpuUsage
}

func (l *latencySide) add(round []arrival) {
	ms := spans(round, func(a arrival) (from, to time.Time) { return a.due, a.seen })
	l.p50s, l.p99s = append(l.p50s, quantile(ms, 0.5)), append(l.p99s, quantile(ms, 0.99))
	l.arrivals = append(l.arrivals, round...)
}

// publish publishes for as long as said, one event after the other, and waits until all are sent.
func (l *latencySide) publish(rate float64, d time.Duration) []arrival {
	watch := &poller{client: l.redis, keys: l.keys}
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	var polling errgroup.Group
	polling.Go(func() error { return watch.run(ctx) })
	due := timetable{start: time.Now().Add(10 * time.Millisecond), rate: rate, for_: d}
	check(l.system.publish(ctx, due, 0, func(number int, due time.Time) topology.Record {
		r := newEvent(number)
		watch.await(topology.EventID(r.Key), due)
		return r
	}, nil))
	l.await("sent", 5*time.Millisecond, watch.counts)
	stop()
	check(polling.Wait())
	return watch.seen
}

// spans are the times between two moments in ms. A status may be seen as sent before it says when the event was matched.
func spans(arrivals []arrival, limits func(arrival) (from, to time.Time)) (ms []float64) {
	for _, a := range arrivals {
		if from, to := limits(a); !from.IsZero() && !to.IsZero() {
			ms = append(ms, milliseconds(to.Sub(from)))
		}
	}
	return ms
}

func latencyTables(rate float64, ours, floor *latencySide) []Table {
	whole := Table{
		Title:   fmt.Sprintf("latency at %.0f events/s, from when an event is due until Redis says sent", rate),
		Columns: append(append([]string{""}, times()...), "p50 by round", "p99 by round"),
	}
	row := func(name string, side *latencySide) []float64 {
		ms := spans(side.arrivals, func(a arrival) (from, to time.Time) { return a.due, a.seen })
		whole.Rows = append(whole.Rows, append(append([]any{name}, quantiles(ms)...), side.p50s, side.p99s))
		return ms
	}
	ms := row("pipeline", ours)
	row("floor", floor)
	whole.Goals = []Goal{
		under("p50", quantile(ms, 0.5), 15*time.Millisecond), under("p99", quantile(ms, 0.99), 60*time.Millisecond),
	}
	parts := Table{
		Title:   "where the time went, by the times in the statuses (whole milliseconds)",
		Columns: append([]string{""}, times()...),
	}
	for _, stage := range []struct {
		name   string
		limits func(arrival) (from, to time.Time)
	}{
		{"publishing: due to Kafka's time", func(a arrival) (from, to time.Time) { return a.due, a.pending }},
		{"queue: Kafka's time to matched", func(a arrival) (from, to time.Time) { return a.pending, a.matched }},
		{"sending: matched to sent", func(a arrival) (from, to time.Time) { return a.matched, a.sent }},
		{"status: sent to seen in Redis", func(a arrival) (from, to time.Time) { return a.sent, a.seen }},
	} {
		parts.Rows = append(parts.Rows, append([]any{stage.name}, quantiles(spans(ours.arrivals, stage.limits))...))
	}
	return []Table{
		whole, parts, ours.used.table("CPUs kept busy by the pipeline's turns"), floor.used.table("CPUs kept busy by the floor's turns"),
	}
}

// The floor is one hop for each role of the pipeline: the least that it can do on the same servers with the same loop. A
// hop is a process of this program.
const (
	hopCommand = "hop"
	hopJobs    = "jobs"   // events to jobs
	hopLog     = "log"    // jobs to delivery log
	hopStatus  = "status" // delivery log to Redis
)

func hopRole(hop string) topology.Role { return topology.Role("hop-" + hop) }

func (b *bench) startFloor() *system {
	s := b.newSystem("floor", lane)
	s.publishSamples()
	job, entry := outputSizes(b.ctx, newMatcher(s.names, s.catalogue()))
	for hop, size := range map[string]int{hopJobs: job, hopLog: entry, hopStatus: entry} {
		s.groups = append(s.groups, s.names.Groups(hopRole(hop), lane)...)
		command := exec.Command(must(os.Executable()), hopCommand, hop, strconv.Itoa(size), s.names.Prefix, s.keys.Prefix)
		s.launch(&process{name: "hop " + hop, role: hopRole(hop), lane: lane}, command)
	}
	return s
}

// runHop runs a hop until ctx ends. Its arguments are the hop, the size of the values that it writes, and the prefixes of
// topics and keys.
func runHop(ctx context.Context, args []string) {
	debug.SetMemoryLimit(64 << 20) // a role's
	hop, size, names, keys := args[0], must(strconv.Atoi(args[1])), topology.Topics{Prefix: args[2]}, topology.Keys{Prefix: args[3]}
	b := connect(ctx)
	from, handler := names.Events(lane), consumer.Handler(&forwarder{names.Jobs(lane), size})
	switch hop {
	case hopLog:
		from, handler = names.Jobs(lane), &forwarder{names.DeliveryLog(lane), size}
	case hopStatus:
		from, handler = names.DeliveryLog(lane), &marker{keys, b.redis}
	}
	check(b.loop(names, hopRole(hop), []topology.Topic{from}, handler, b.transport).Run(ctx))
}

// marker makes one write for each record, and nothing else.
type marker struct {
	keys   topology.Keys
	client redis.UniversalClient
}

func (h *marker) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	pipe := h.client.Pipeline()
	for i := range b.Records {
		pipe.HSet(ctx, h.keys.Event(topology.EventID(b.Records[i].Key)), topology.FieldStatus, string(topology.Sent))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return consumer.Result{}, err
	}
	return consumer.Result{Handled: len(b.Records)}, nil
}
