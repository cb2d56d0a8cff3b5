package tasks

import (
	"math"
	"time"

	"github.com/meddela/meddela/topology"
)

const (
	canary   = 10              // events whose ends are waited for before others go
	slow     = 10              // events a second to begin with
	doubling = 2 * time.Second // how long each rate is kept
	atOnce   = 500             // most events that are published together
)

// rateAfter is how many events a second go at a time after the canary, or a hold.
func rateAfter(since time.Duration, limit float64) float64 {
	return min(limit, slow*math.Exp2(math.Floor(since.Seconds()/doubling.Seconds())))
}

// ends are what has become of the latest that were published.
type ends struct {
	waiting []redriven
	failed  []bool // of those that came to an end
}

type redriven struct {
	id       topology.EventID
	redrives int
}

const (
	mostWaiting = 1000
	mostEnds    = 100
	fewestEnds  = 5 // that say anything
)

func (e *ends) add(id topology.EventID, redrives int) {
	e.waiting = append(e.waiting, redriven{id, redrives})
	e.waiting = e.waiting[max(len(e.waiting)-mostWaiting, 0):]
}

// settle takes the states of those that are waited for, in their order.
func (e *ends) settle(states []topology.State) {
	var left []redriven
	for i, r := range e.waiting {
		switch s := &states[i]; {
		case s.Redrives < r.redrives || !s.Status.Final():
			left = append(left, r)
		default:
			e.failed = append(e.failed, s.Status == topology.DeliveryError || s.Status == topology.NotCovered)
		}
	}
	e.waiting, e.failed = left, e.failed[max(len(e.failed)-mostEnds, 0):]
}

// failing reports whether more than 20 % of the latest failed again.
func (e *ends) failing() (failed, of int, is bool) {
	for _, f := range e.failed {
		if f {
			failed++
		}
	}
	of = len(e.failed)
	return failed, of, of >= fewestEnds && 5*failed > of
}
