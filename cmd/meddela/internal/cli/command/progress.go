package command

import (
	"fmt"
	"io"
	"time"

	"github.com/meddela/meddela/consumer/scan"
)

// progressInterval is how often the line of progress is written.
const progressInterval = 200 * time.Millisecond

// Progress keeps one line on a terminal up to date. Its zero value shows
// nothing.
type Progress struct {
	out   io.Writer
	Start time.Time
	last  time.Time
	shown bool
}

// NewProgress shows progress on w if that is a terminal.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{Start: time.Now()}
	if IsTerminal(w) {
		p.out = w
	}
	return p
}

// Show writes the line, if the last one is old enough: how many of what are done.
// total is 0 when it is not known.
func (p *Progress) Show(what string, n int, done, total int64) {
	now := time.Now()
	if p.out == nil || now.Sub(p.last) < progressInterval {
		return
	}
	p.last, p.shown = now, true
	share, left := "", ""
	if total > 0 && done > 0 {
		share = fmt.Sprintf("%3d %%  ", min(100*done/total, 100))
		took := time.Duration(float64(now.Sub(p.Start)) * max(float64(total)/float64(done)-1, 0))
		left = ", " + took.Round(time.Second).String() + " left"
	}
	_, _ = fmt.Fprintf(p.out, "\r\033[K%s%d %s  %.0f/s%s", share, n, what, PerSecond(n, now.Sub(p.Start)), left)
}

// Clear takes the line away, for what is to be printed in its place.
func (p *Progress) Clear() {
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\033[K")
		p.shown = false
	}
}

// PerSecond is a rate; 0 of no time.
func PerSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// ShowScan runs a scan, and shows how far it is while it runs.
func (env *Env) ShowScan(what string, run func(*scan.Progress) error) error {
	var scanned scan.Progress
	line := NewProgress(env.ErrOut)
	ended := make(chan error, 1)
	go func() { ended <- run(&scanned) }()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			line.Clear()
			return err
		case <-tick.C:
			line.Show(what, int(scanned.Done.Load()), scanned.Done.Load(), scanned.Total.Load())
		}
	}
}
