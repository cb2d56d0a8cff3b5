package status

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/gather"
)

const (
	// hold is how long what is not final may wait, under load, for what becomes of
	// its event next, to be written with that: so much later it may be seen.
	hold = 100 * time.Millisecond
	// load is how many states must have come in this hold and the one before.
	load = 600
)

// gathered is what is to be written, folded by event.
type gathered struct {
	gather gather.Gather[*event]

	mu           sync.Mutex
	events       map[topology.EventID]*event // whose writing has not begun
	since        time.Time                   // when this hold began
	came, before int                         // states in it, and in the one before
}

// event is what is to be written of one.
type event struct {
	state   *topology.State // of the first writer, with those of others merged into it
	writers []*writer       // one for each state
	ready   bool            // it is written as soon as may be
	written bool
}

// writer is a call of write.
type writer struct {
	ctx  context.Context
	left int // states of which it is not known yet whether they are written
	err  error
	done chan struct{}
}

// write has states written by a function, with those that others write, and
// returns when they are.
func (g *gathered) write(ctx context.Context, states []topology.State, by func([]*event)) error {
	if len(states) == 0 {
		return nil
	}
	w := &writer{ctx: ctx, left: len(states), done: make(chan struct{})}
	held := g.add(w, states, by)
	g.gather.Help()
	if len(held) > 0 {
		select {
		case <-w.done:
		case <-ctx.Done():
		case <-time.After(hold):
		}
		g.release(held)
		g.gather.Help()
	}
	<-w.done
	return w.err
}

// add takes states in, and returns the events that are held for them.
func (g *gathered) add(w *writer, states []topology.State, by func([]*event)) (held []*event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.events == nil {
		g.events = make(map[topology.EventID]*event)
		g.gather.Do, g.gather.Most = by, 2
	}
	busy, own := g.busy(len(states)), make([]event, len(states))
	var ready []*event
	for i := range states {
		e, known := g.events[states[i].EventID]
		if known {
			e.state.Merge(&states[i])
		} else {
			e = &own[i]
			e.state, g.events[states[i].EventID] = &states[i], e
		}
		e.writers = append(e.writers, w)
		switch {
		case e.ready:
		case !busy || e.state.Status.Final():
			e.ready, ready = true, append(ready, e)
		case !known:
			held = append(held, e)
		}
	}
	g.gather.Put(ready...)
	return held
}

// busy counts states that come, and reports whether those not final are held.
func (g *gathered) busy(n int) bool {
	if past := time.Since(g.since); past >= hold {
		if g.before = g.came; past >= 2*hold {
			g.before = 0
		}
		g.since, g.came = time.Now(), 0
	}
	g.came += n
	return g.before+g.came >= load
}

// release has events written that were held for long enough.
func (g *gathered) release(held []*event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held = slices.DeleteFunc(held, func(e *event) bool { return e.ready })
	for _, e := range held {
		e.ready = true
	}
	g.gather.Put(held...)
}

// begin notes that events are being written: what comes from here on is written
// after them. It returns who wants that, and how many states were folded.
func (g *gathered) begin(events []*event) (wanted []context.Context, folded int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var last *writer
	for _, e := range events {
		delete(g.events, e.state.EventID)
		folded += len(e.writers) - 1
		for _, w := range e.writers {
			if w != last {
				wanted, last = append(wanted, w.ctx), w
			}
		}
	}
	return wanted, folded
}

// end tells writers what has come of events. The error is of those that were not
// written.
func (g *gathered) end(events []*event, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range events {
		for _, w := range e.writers {
			if !e.written {
				w.err = err
			}
			if w.left--; w.left == 0 {
				close(w.done)
			}
		}
	}
}
