package template

import (
	"bytes"
	"time"
)

const (
	// MaxPartBytes is the greatest size of one rendered part.
	MaxPartBytes = 1 << 20
	// MaxSubjectBytes is the greatest size of a rendered subject: a line of
	// a message, as RFC 5322 bounds it.
	MaxSubjectBytes = 998
	// maxSteps bounds the pieces that one part is written in. Every turn of
	// a loop and every inclusion is a piece, if only an empty one.
	maxSteps = 1 << 19
	// maxTime bounds the rendering of all parts of one message. The size and
	// the steps end almost every runaway first, and always at the same place;
	// the time is for loops whose every turn is costly. It is looked at
	// between pieces: one call of a function is not interrupted, but its
	// result is bounded by MaxPartBytes.
	maxTime = 2 * time.Second
	// stepsPerLook is how many pieces are written between looks at the clock:
	// more than a usual message has, so that a process that was held up does
	// not fail messages for it.
	stepsPerLook = 256
)

const (
	errTooLarge = misuse("the rendered part is larger than 1 MiB")
	errTooLong  = misuse("the template takes too many steps: it loops over too much")
	errTooSlow  = misuse("the template takes too long: it does too much")
)

// limited is the writer that templates write to. It refuses to go on when a
// rendering is too large or too long.
type limited struct {
	to       *bytes.Buffer
	steps    int
	deadline time.Time
}

func (w *limited) Write(p []byte) (int, error) {
	w.steps++
	switch {
	case w.to.Len()+len(p) > MaxPartBytes:
		return 0, errTooLarge
	case w.steps > maxSteps:
		return 0, errTooLong
	case w.steps%stepsPerLook == 0 && time.Now().After(w.deadline):
		return 0, errTooSlow
	}
	return w.to.Write(p)
}
