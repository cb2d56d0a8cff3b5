package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	latencyGoal50 = 15 * time.Millisecond
	latencyGoal99 = 60 * time.Millisecond
	// sendPatience is how long the last events may take.
	sendPatience = 30 * time.Second
	warmUp       = 4 * time.Second
)

// Latency measures how long an event takes from when it is due to be published
// until Redis says that it is sent; and beside it how long the same number of
// bare hops takes.
func (b *Bench) Latency(ctx context.Context, rate float64, d time.Duration, rounds int) (*Latency, error) {
	ours, err := b.startPipeline(ctx, "latency")
	if err != nil {
		return nil, err
	}
	result := &Latency{Rate: rate}
	err = ours.during(ctx, func(ctx context.Context) error {
		floor, err := b.startFloor(ctx)
		if err != nil {
			return err
		}
		return floor.during(ctx, func(ctx context.Context) error {
			return b.takeTurns(ctx, result, ours, floor, d/time.Duration(rounds), rounds)
		})
	})
	return result, err
}

func (b *Bench) startFloor(ctx context.Context) (*pipeline, error) {
	p := &pipeline{names: b.names("floor"), keys: b.keys("floor")}
	b.Progress("starting the floor")
	if err := b.createTopics(ctx, p.names); err != nil {
		return nil, err
	}
	matcher, err := newMatcher(p.names, b.Templates)
	if err != nil {
		return nil, err
	}
	sizes, err := outputSizes(ctx, matcher)
	if err != nil {
		return nil, err
	}
	for _, hop := range Hops() {
		size := sizes.entry
		if hop == HopJobs {
			size = sizes.job
		}
		c, err := b.startChild("hop "+string(hop), p.names, p.keys, "bench", "hop", string(hop), "--bytes", strconv.Itoa(size))
		if err != nil {
			return nil, firstOf(err, p.stop())
		}
		p.children = append(p.children, c)
		b.groups = append(b.groups, p.names.Groups(hop.role(), lane)...)
	}
	return p, nil
}

// takeTurns measures both pipelines round by round, in an order that changes.
func (b *Bench) takeTurns(ctx context.Context, result *Latency, ours, floor *pipeline, each time.Duration, rounds int) error {
	sides := []*latencySide{{name: "pipeline", pipeline: ours}, {name: "floor", pipeline: floor}}
	for _, s := range sides {
		b.Progress("latency: warming up, %s", s.name)
		if _, err := b.latencies(ctx, s.pipeline, result.Rate, warmUp); err != nil {
			return err
		}
	}
	for round := 1; round <= rounds; round++ {
		for _, i := range turn(len(sides), round) {
			b.Progress("latency: round %d of %d, %s, %v", round, rounds, sides[i].name, each)
			meter := b.meter(sides[i].pipeline.pids())
			seen, err := b.latencies(ctx, sides[i].pipeline, result.Rate, each)
			if err != nil {
				return err
			}
			sides[i].used.add(meter.stop())
			sides[i].rounds = append(sides[i].rounds, seen)
		}
	}
	result.summarise(sides[0], sides[1])
	return nil
}

// latencySide is what one side has shown, by round.
type latencySide struct {
	name     string
	pipeline *pipeline
	rounds   [][]arrival
	used     usage
}

// latencies publishes for as long as said and waits until all is sent.
func (b *Bench) latencies(ctx context.Context, p *pipeline, rate float64, d time.Duration) ([]arrival, error) {
	watch := &poller{client: b.Redis, keys: p.keys}
	// A publication a millisecond at most: events come one by one.
	g, err := b.newGenerator(p.names, rate, 0)
	if err != nil {
		return nil, err
	}
	g.due = watch.await
	polling, stop := context.WithCancel(ctx)
	defer stop()
	var poll errgroup.Group
	poll.Go(func() error { return watch.run(polling) })
	err = g.run(ctx, time.Now().Add(10*time.Millisecond), d)
	if err == nil {
		err = awaitSent(ctx, watch)
	}
	stop()
	return watch.take(), firstOf(poll.Wait(), err)
}

func awaitSent(ctx context.Context, watch *poller) error {
	last, since := -1, time.Now()
	for {
		seen, waiting := watch.arrived()
		if waiting == 0 {
			return nil
		}
		if seen != last {
			last, since = seen, time.Now()
		}
		if time.Since(since) > sendPatience {
			return fmt.Errorf("%d events are not sent, and for %v no other has been", waiting, sendPatience)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}
