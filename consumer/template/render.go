package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/meddela/meddela/topology"
)

type part struct {
	name  string
	block *block
	slots int
}

type rendering struct {
	root     value
	out      []byte
	at       *place // of what is being done; nil where it has none
	steps    int
	work     int // bytes that were written, and that functions have gone through
	deadline time.Time
	slots    []value // what the blocks at work have in hand
	args     []value // of the calls that are being made
	comment  int     // where the conditional comment that is open begins in out
}

// render writes the part to r.out.
func (p *part) render(r *rendering) {
	r.out, r.at, r.steps, r.work, r.args, r.comment = r.out[:0], nil, 0, 0, r.args[:0], none
	r.slots = slices.Grow(r.slots[:0], p.slots)[:p.slots]
	clear(r.slots)
	r.slots[p.block.dot] = r.root
	r.do(p.block.steps)
	r.at = nil
	p.finish(r)
}

func (r *rendering) do(steps []step) jump {
	for _, s := range steps {
		if j := s(r); j != next {
			return j
		}
	}
	return next
}

func (r *rendering) write(s string) jump {
	r.at = nil
	refuse(len(r.out)+len(s) > MaxPartBytes, errTooLarge)
	r.tick(len(s))
	r.out = append(r.out, s...)
	return next
}

// tick refuses to go on after a step that went through so many bytes, when a
// rendering takes too many or too long.
func (r *rendering) tick(bytes int) {
	before := r.work
	r.steps++
	r.work += bytes
	refuse(r.steps > maxSteps, errTooLong)
	refuse(r.work > maxWork, errTooMuch)
	look := r.steps%stepsPerLook == 0 || r.work/bytesPerLook > before/bytesPerLook
	refuse(look && time.Now().After(r.deadline), errTooSlow)
}

var renderings = sync.Pool{New: func() any { return new(rendering) }}

// turns are as many renderings as can go on at once: they only compute, so more
// would only take more memory.
var turns = make(chan struct{}, runtime.GOMAXPROCS(0))

// release keeps the memory of a rendering for the next one, without the event, and
// unless one huge message has made it huge.
func (r *rendering) release() {
	<-turns
	if cap(r.out) <= 64<<10 && cap(r.slots)+cap(r.args) <= 1<<10 {
		clear(r.slots[:cap(r.slots)])
		clear(r.args[:cap(r.args)])
		r.root, r.at = value{}, nil
		renderings.Put(r)
	}
}

// finish checks what was rendered, and makes a line of a subject.
func (p *part) finish(r *rendering) {
	refuse(len(bytes.TrimSpace(r.out)) == 0 && p.name != EmailUnsubscribe && p.name != EmailAttachments,
		"the rendered part is empty")
	refuse(!utf8.Valid(r.out), "the rendered part is not UTF-8")
	if syntaxOf(p.name) == jsonText {
		fault := topology.CheckJSON(r.out)
		refuse(fault != nil && fault.Reason == topology.ReasonTooDeep, errTooDeep)
		if fault != nil {
			panic(misuse("the rendered part is not JSON from its line " + strconv.Itoa(LineNotJSON(r.out)) +
				" on: look for a comma, a quote or a bracket that is missing there, or too many"))
		}
	}
	if p.name == EmailSubject {
		r.out = append(r.out[:0], oneLine(string(r.out))...)
		refuse(len(r.out) > MaxSubjectBytes, errLongSubject)
	}
}

var errLongSubject = misuse("the rendered subject is longer than " + strconv.Itoa(MaxSubjectBytes) + " bytes")

// LineNotJSON is the line in which a text stops being JSON; 0 when it is JSON.
func LineNotJSON(text []byte) int {
	var value any
	fault, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, &value))
	if !ok {
		return 0
	}
	return 1 + bytes.Count(text[:min(max(int(fault.Offset)-1, 0), len(text))], []byte("\n"))
}

const (
	// MaxPartBytes is the greatest size of one rendered part.
	MaxPartBytes = 1 << 20
	// MaxSubjectBytes is the greatest size of a rendered subject: a line of
	// a message, as RFC 5322 bounds it.
	MaxSubjectBytes = 998
	// maxSteps bounds the pieces that one part is written in. Every turn of
	// a loop, every inclusion and every call of a function is a piece, if only an
	// empty one.
	maxSteps = 1 << 19
	// maxWork bounds the bytes that one part writes, and that its functions are given
	// and return: also what is kept in its variables.
	maxWork = 16 << 20
	// maxMembers bounds the members of objects and elements of lists of the event that
	// the parts of one message look into: some 100 bytes of memory each, and as few as
	// two in the event.
	maxMembers = 1 << 16
	// maxTime bounds the rendering of all parts of one message. The size and
	// the steps end almost every runaway first, and always at the same place;
	// the time is for loops whose every turn is costly. It is looked at
	// between pieces: one call of a function is not interrupted, but its
	// result is bounded by MaxPartBytes.
	maxTime = 2 * time.Second
	// bytesPerLook is how many bytes pieces go through between looks at the clock.
	bytesPerLook = 1 << 20
	// stepsPerLook is how many pieces are written between looks at the clock:
	// more than a usual message has, so that a process that was held up does
	// not fail messages for it.
	stepsPerLook = 256
)

const (
	errTooLarge = misuse("the rendered part is larger than 1 MiB")
	errTooLong  = misuse("the template takes too many steps: it loops over too much")
	errTooMuch  = misuse("the template does too much: its functions go through more than 16 MiB")
	errTooMany  = misuse("the template looks into too much of this event: more than 65536 members of its lists and " +
		"objects")
	errTooDeep = misuse("the rendered JSON nests deeper than 100")
	errTooSlow = misuse("the template takes too long: it does too much")
)
