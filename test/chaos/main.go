// Command chaos breaks, one after the other, whatever a whole installation stands on, while events flow on both lanes,
// and then counts: what upstream was told is safe, what the providers were handed, and what Redis says. Run it by
// `make chaos`. A seed is a plan of faults, which is printed; it repeats the plan, not the moment at which each fault
// meets the program.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// settings are the flags.
type settings struct {
	seed   uint64
	lasts  time.Duration
	rate   int    // events a second, both lanes together
	offset int    // of the servers' ports
	only   string // kinds of faults, with commas between; empty is all
	dir    string
}

func main() {
	var set settings
	flag.Uint64Var(&set.seed, "seed", 1, "chooses the plan of faults")
	flag.DurationVar(&set.lasts, "for", 30*time.Minute, "how long faults are made")
	flag.IntVar(&set.rate, "rate", 300, "events a second, a third of them on the batch lane")
	flag.IntVar(&set.offset, "port-offset", 2600, "of the servers' ports, to be beside others")
	flag.StringVar(&set.only, "only", "", "make only these kinds of faults, with commas between")
	flag.StringVar(&set.dir, "dir", "", "folder for servers and logs, which is kept; default: a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, set)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run is a whole run; it is true when all that was promised held.
func run(ctx context.Context, set settings) (ok bool, err error) {
	if set.dir == "" {
		set.dir = script.Must(os.MkdirTemp("", "meddela-chaos-"))
		defer func() {
			if ok {
				_ = os.RemoveAll(set.dir)
			} else {
				fmt.Fprintln(os.Stderr, "chaos: the logs are in", set.dir)
			}
		}()
	}
	set.dir = script.Must(filepath.Abs(set.dir))
	err = script.Try(func() {
		plan := newPlan(set)
		fmt.Printf("seed %d, %v at %d events/s; as far as time allows:\n", set.seed, set.lasts, set.rate)
		for i, f := range plan[:min(len(plan), len(faults))] {
			fmt.Printf("  %2d %s (%d)\n", i+1, f.kind, f.chance%100)
		}
		s := newStand(ctx, set)
		defer s.stop()
		s.start()
		s.awaitRate("at first")
		s.report.began = time.Now()
		for _, f := range plan {
			if time.Since(s.report.began) > set.lasts {
				break
			}
			s.awaitRate("before " + f.kind)
			s.report.make(s, f)
		}
		s.awaitRate("after the last fault")
		s.report.rollOut(s)
		s.awaitRate("after the roll-out")
		s.upstream.stop()
		s.settle()
		ok = s.report.print(s)
	})
	return ok, err
}

// awaitRate waits until messages come through at no less than half of the rate of events, on each lane: a fault of
// which that never becomes true again has broken something, and one that is made before would show nothing.
func (s *stand) awaitRate(when string) {
	const over, patience = 3 * time.Second, 3 * time.Minute
	for end := time.Now().Add(patience); ; s.pause(250 * time.Millisecond) {
		least, slow := float64(s.rate)/2*over.Seconds(), ""
		for lane, share := range shares {
			if n := s.provider.since(lane, time.Now().Add(-over)); float64(n) < least*share {
				slow += fmt.Sprintf(" %s %.0f/s", lane, float64(n)/over.Seconds())
			}
		}
		if slow == "" {
			return
		}
		if time.Now().After(end) {
			script.Check(fmt.Errorf("%s: for %v too few messages come through:%s", when, patience, slow))
		}
	}
}

// awaitCalm waits until hardly a message of real time waits, and says if it did not come to that: servers take a minute
// to be quick once they have started, and more than they can bear hides what a fault does.
func (s *stand) awaitCalm() string {
	const over, calm, patience = 5 * time.Second, 500 * time.Millisecond, 90 * time.Second
	for end := time.Now().Add(patience); ; s.pause(time.Second) {
		var all []time.Duration
		for of, waits := range s.waits(time.Now().Add(-over), time.Now()) {
			if of.lane == topology.Realtime {
				all = append(all, waits...)
			}
		}
		slices.Sort(all)
		switch {
		case len(all) > 0 && percentile(all, 99) < calm:
			return ""
		case time.Now().After(end):
			return "on a busy machine, "
		}
	}
}

// settle waits until each event that upstream knows to be safe has its final status, or for so long that the rest is
// lost.
func (s *stand) settle() {
	const patience = 13 * time.Minute // the third wait of a job that failed is ten minutes
	open := s.upstream.safe()
	for end := time.Now().Add(patience); len(open) > 0 && time.Now().Before(end); s.pause(time.Second) {
		open = s.notFinal(open)
		fmt.Fprintf(os.Stderr, "\r%d events have no final status yet  ", len(open))
	}
	fmt.Fprintln(os.Stderr)
}

// shares are of the rate.
var shares = map[topology.Lane]float64{topology.Realtime: 2. / 3, topology.Batch: 1. / 3}

// laneOf is the lane of an event, by its id.
func laneOf(id topology.EventID) topology.Lane {
	lane, _, _ := strings.Cut(string(id), "-")
	return topology.Lane(lane)
}
