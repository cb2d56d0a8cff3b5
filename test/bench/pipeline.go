package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

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
		for round, i := range turns(*rounds, len(sides)) {
			progress("latency: round %d of %d, %v", round, *rounds, each)
			sides[i].add(sides[i].publish(*rate, each))
		}
		return latencyTables(*rate, sides[0], sides[1])
	}
}

// startPipeline starts the roles that make events into statuses.
func (b *bench) startPipeline(name string) *system {
	s := b.newSystem(name)
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
}

func (l *latencySide) add(round []arrival) {
	ms := spans(round, func(a arrival) (from, to time.Time) { return a.due, a.seen })
	tenths := func(f float64) float64 { return math.Round(10*f) / 10 }
	l.p50s, l.p99s = append(l.p50s, tenths(quantile(ms, 0.5))), append(l.p99s, tenths(quantile(ms, 0.99)))
	l.arrivals = append(l.arrivals, round...)
}

// publish publishes for as long as said, one event after the other, and waits until all are sent.
func (l *latencySide) publish(rate float64, d time.Duration) []arrival {
	w := &watch{system: l.system}
	due := timetable{start: time.Now().Add(10 * time.Millisecond), rate: rate, length: d}
	wait := l.system.publish(due, 0, w.newEvent)
	w.awaitSent(due.total())
	wait()
	return w.seen
}

// spans are the times between two moments in ms. A status may be seen as sent before it says when its event was
// matched.
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
		Columns: times("", "p50 by round", "p99 by round"),
	}
	total := func(a arrival) (from, to time.Time) { return a.due, a.seen }
	ms := spans(ours.arrivals, total)
	whole.Rows = [][]any{
		quantiles("pipeline", ms, ours.p50s, ours.p99s),
		quantiles("floor", spans(floor.arrivals, total), floor.p50s, floor.p99s),
	}
	whole.Goals = []Goal{
		under("p50", quantile(ms, 0.5), 15*time.Millisecond), under("p99", quantile(ms, 0.99), 60*time.Millisecond),
	}
	parts := Table{Title: "where the time went, by the times in the statuses (whole milliseconds)", Columns: times("")}
	for _, stage := range []struct {
		name   string
		limits func(arrival) (from, to time.Time)
	}{
		{"publishing: due to Kafka's time", func(a arrival) (from, to time.Time) { return a.due, a.pending }},
		{"queue: Kafka's time to matched", func(a arrival) (from, to time.Time) { return a.pending, a.matched }},
		{"sending: matched to sent", func(a arrival) (from, to time.Time) { return a.matched, a.sent }},
		{"status: sent to seen in Redis", func(a arrival) (from, to time.Time) { return a.sent, a.seen }},
	} {
		parts.Rows = append(parts.Rows, quantiles(stage.name, spans(ours.arrivals, stage.limits)))
	}
	return []Table{whole, parts}
}

// startFloor starts one hop in this process for each role of the pipeline: the least that it can do on the same servers
// with the same loop, which in the end is one write to Redis. The hops run until the figure ends.
func (b *bench) startFloor() *system {
	s := b.newSystem("floor")
	outputs := s.bareOutputs(s.matcher())
	s.run(topology.RoleMatch, outputs[:1], s.names.Events(lane))
	s.run(topology.RoleDeliver, outputs[1:], s.names.Jobs(lane))
	mark := func(ctx context.Context, batch consumer.Batch) (consumer.Result, error) {
		pipe := b.redis.Pipeline()
		for _, r := range batch.Records {
			pipe.HSet(ctx, s.keys.Event(topology.EventID(r.Key)), topology.FieldStatus, string(topology.Sent))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return consumer.Result{}, err
		}
		return consumer.Result{Handled: len(batch.Records)}, nil
	}
	s.run(topology.RoleStatus, handlerFunc(mark), s.names.DeliveryLog(lane))
	return s
}

const throughputGoal = 10_000 // events/s

// throughputFigure looks for the highest rate that the whole pipeline holds for as long as said, from an event's
// publication to its being sent in Redis. With a rate it tries only that.
func throughputFigure(flags *flag.FlagSet) func(*bench) []Table {
	rate := flags.Float64("rate", 0, "events a second to hold; 0 looks for the highest")
	hold := flags.Duration("for", time.Minute, "how long the rate must be held; at least 5s")
	return func(b *bench) []Table {
		*hold = max(*hold, 5*time.Second)
		s := b.startPipeline("throughput")
		s.probe(1000, warmUp)
		var probes []*probe
		next, holds := *rate, 1
		if *rate == 0 {
			next, probes = s.search()
			holds = 4
		}
		for range holds {
			p := s.probe(math.Round(next), *hold)
			probes = append(probes, p)
			if p.held {
				return s.throughputTables(probes, p)
			}
			next *= 0.92
		}
		return s.throughputTables(probes, nil)
	}
}

// search finds, by short trials, about the highest rate that is held.
func (s *system) search() (rate float64, probes []*probe) {
	const closeEnough = 1.15 // how far the rate that is too much may be from the one that is held
	held, tooMuch := 0.0, math.Inf(1)
	for rate = 4000; ; {
		p := s.probe(math.Round(rate), 8*time.Second)
		probes = append(probes, p)
		if p.held {
			held = rate
		} else {
			tooMuch = rate
		}
		switch {
		case math.IsInf(tooMuch, 1):
			rate *= 1.6
		case held == 0:
			rate /= 2
		case tooMuch/held <= closeEnough:
			return held, probes
		default:
			rate = math.Sqrt(held * tooMuch)
		}
	}
}

// probe is one rate, tried for some time.
type probe struct {
	rate    float64
	seconds float64
	lag     []float64 // events due and not sent, each second
	growth  float64   // of the lag, in events a second
	catchUp time.Duration
	used    work
	held    bool
}

// probe publishes at a rate and sees whether the pipeline keeps up.
func (s *system) probe(rate float64, d time.Duration) *probe {
	p, w := &probe{rate: rate, seconds: d.Seconds()}, &watch{system: s}
	metered := s.meter()
	due := timetable{start: time.Now().Add(10 * time.Millisecond), rate: rate, length: d}
	wait := s.publish(due, 20*time.Millisecond, w.newEvent)
	behind := 0
	for at := time.Second; at <= d; at += time.Second {
		s.pause(fmt.Sprintf("%.0f events/s, %d behind", rate, behind), due.start.Add(at))
		published := due.by(time.Now())
		w.look(math.MaxInt)
		behind = published - len(w.seen)
		p.lag = append(p.lag, float64(behind))
	}
	wait()
	p.used = metered(due.total())
	w.awaitSent(due.total())
	p.catchUp = time.Since(due.start.Add(d))
	p.judge()
	return p
}

// judge says whether the rate is held. Of a short trial the growth says little: batches grow with the lag, and larger
// ones cost less, until that balances.
func (p *probe) judge() {
	const (
		settling = 2 // seconds, whose events are all lag
		// Parts of the rate: the growth that is within the noise, and the lag in the end, of a long trial and of a short.
		mostGrowth, mostLag, mostLagShort = 0.005, 2, 0.6
	)
	p.growth = slope(p.lag[min(settling, len(p.lag)-1):])
	last := p.lag[len(p.lag)-1] / p.rate
	p.held = p.growth <= mostGrowth*p.rate && last <= mostLag
	if p.seconds < 30 {
		p.held = last <= mostLagShort
	}
}

// throughputTables shows the trials, and the one that was held if there is one.
func (s *system) throughputTables(probes []*probe, held *probe) []Table {
	trials := Table{
		Title: "throughput, from publishing to sent in Redis: events of 1 KB, one lane, a process a role",
		Columns: []string{
			"events/s", "seconds", "behind at the end", "at most", "growing by, a second", "caught up after, s", "",
		},
	}
	for _, p := range probes {
		result := map[bool]string{true: "held", false: "too much"}[p.held]
		trials.Rows = append(trials.Rows, []any{
			p.rate, p.seconds, p.lag[len(p.lag)-1], slices.Max(p.lag), p.growth, p.catchUp.Seconds(), result,
		})
	}
	if held == nil {
		trials.Goals = []Goal{{fmt.Sprintf("no rate was held; the goal is %d", throughputGoal), false}}
		return []Table{trials}
	}
	trials.Goals = []Goal{{
		fmt.Sprintf("%.0f events/s held for %.0f s, each sent; the goal is %d", held.rate, held.seconds,
			throughputGoal), held.rate >= throughputGoal,
	}}
	busy := Table{Title: "while the rate was held", Columns: []string{"process", "CPUs kept busy", "most memory, MB"}}
	for _, name := range slices.Sorted(maps.Keys(held.used.cpu)) {
		row := []any{name, held.used.cpu[name].Seconds() / held.used.elapsed.Seconds()}
		for _, p := range s.running(topology.Role(name)) {
			_, most := memory(p.cmd.Process.Pid)
			row = append(row, most)
		}
		busy.Rows = append(busy.Rows, row)
	}
	return []Table{trials, busy}
}

// memoryFigure lets events wait and has one role after the other work them off, while it looks at how much memory each
// takes.
func memoryFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := flags.Int("events", 1_000_000, "how many events wait")
	return func(b *bench) []Table {
		s := b.newSystem("memory")
		s.fill(s.names.Events(lane), *events, numbered)
		t := Table{
			Title:   fmt.Sprintf("memory, %d events of 1 KB waiting", *events),
			Columns: []string{"role", "records", "records/s", "most MB", "in the middle", "at the end"},
		}
		for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleStatus} {
			s.remember(&t, role)
		}
		return []Table{t}
	}
}

// remember has a role work off what it reads. Its memory in the middle and at the end is the median of that fifth of
// the samples.
func (s *system) remember(t *Table, role topology.Role) {
	topics := s.names.Reads(role, lane)
	records, began := s.ends(topics...), time.Now()
	s.start(role, lane)
	pid := s.running(role)[0].cmd.Process.Pid
	var samples []float64
	most := 0.0
	s.await("memory: "+string(role), 250*time.Millisecond, func() (done, want int) {
		now, peak := memory(pid)
		samples, most = append(samples, now), max(most, peak)
		for _, group := range s.names.Groups(role, lane) {
			want = max(want, s.behind(group, topics...))
		}
		return records - want, records
	})
	rate := float64(records) / time.Since(began).Seconds()
	s.stop()
	n := len(samples)
	middle, last := median(samples[2*n/5:max(3*n/5, 2*n/5+1)]), median(samples[min(4*n/5, n-1):])
	most = max(most, slices.Max(samples))
	t.Rows = append(t.Rows, []any{string(role), records, rate, most, middle, last})
	const memoryGoal, flat = 100, 10 // MB
	t.Goals = append(t.Goals, Goal{
		fmt.Sprintf("%s: %.0f MB at most, %+.0f MB from the middle to the end; the goal is below %d MB, and flat",
			role, most, last-middle, memoryGoal),
		most < memoryGoal && last-middle < flat,
	})
}
