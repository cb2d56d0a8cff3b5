package scan

import "sync/atomic"

// Progress tells how far a scan is, in offsets. It is safe for use while the
// scan goes on. Its zero value is ready, for one scan.
type Progress struct{ total, done, lost atomic.Int64 }

// Total is how many offsets there are to pass; 0 before the scan.
func (p *Progress) Total() int64 { return p.total.Load() }

// Done is how many have been passed, with their records handled.
func (p *Progress) Done() int64 { return p.done.Load() }

// Lost is how many of those were removed from the topic before they were read,
// by its retention for instance.
func (p *Progress) Lost() int64 { return p.lost.Load() }
