package main

import (
	"fmt"
	"io"
	"time"

	"github.com/meddela/meddela/consumer/scan"
)

// progressInterval is how often the line of progress is written.
const progressInterval = 200 * time.Millisecond

// progress keeps one line on a terminal up to date. Its zero value shows
// nothing.
type progress struct {
	out   io.Writer
	start time.Time
	last  time.Time
	shown bool
}

// newProgress shows progress on w if that is a terminal.
func newProgress(w io.Writer) *progress {
	p := &progress{start: time.Now()}
	if isTerminal(w) {
		p.out = w
	}
	return p
}

// show writes the line, if the last one is old enough. total is 0 when it is
// not known.
func (p *progress) show(events int, done, total int64) { p.showWhat("events", events, done, total) }

// showWhat is show of other things than events.
func (p *progress) showWhat(what string, n int, done, total int64) {
	now := time.Now()
	if p.out == nil || now.Sub(p.last) < progressInterval {
		return
	}
	p.last, p.shown = now, true
	share := ""
	if total > 0 {
		share = fmt.Sprintf("%3d %%  ", min(100*done/total, 100))
	}
	_, _ = fmt.Fprintf(p.out, "\r\033[K%s%d %s  %.0f/s", share, n, what, perSecond(n, now.Sub(p.start)))
}

// clear takes the line away, for what is to be printed in its place.
func (p *progress) clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\033[K")
		p.shown = false
	}
}

func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// showScan runs a scan, and shows how far it is while it runs.
func (a *app) showScan(what string, run func(*scan.Progress) error) error {
	var scanned scan.Progress
	line := newProgress(a.errOut)
	ended := make(chan error, 1)
	go func() { ended <- run(&scanned) }()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			line.clear()
			return err
		case <-tick.C:
			line.showWhat(what, int(scanned.Done()), scanned.Done(), scanned.Total())
		}
	}
}
