package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// part is one compiled part of a body.
type part struct {
	name     string
	template executor
}

// executor is what text/template and html/template have in common.
type executor interface {
	Execute(w io.Writer, data any) error
}

// render writes the part to b.
func (p *part) render(b *bytes.Buffer, d *data, deadline time.Time) error {
	if err := p.execute(&limited{to: b, deadline: deadline}, d); err != nil {
		return err
	}
	return p.finish(b)
}

// errIncluded is all that is known of a failure in a piece that html/template has
// copied for a place that is no text: where text/template then looks for the
// line, there is no source, and it panics.
const errIncluded = misuse("an included piece failed that stands in an attribute, a title or the like: it reads a " +
	"value that is missing or does not fit; write it there in place of the inclusion to see which")

func (p *part) execute(w io.Writer, d *data) (err error) {
	defer func() {
		if recover() != nil {
			err = errIncluded
		}
	}()
	return p.template.Execute(w, d)
}

// refused is what html/template writes instead of a value that is not safe in
// its place.
var refused = []byte("ZgotmplZ")

// finish checks what was rendered, and makes a line of a subject.
func (p *part) finish(b *bytes.Buffer) error {
	switch {
	case len(bytes.TrimSpace(b.Bytes())) == 0 && p.name != EmailUnsubscribe && p.name != EmailAttachments:
		return misuse("the rendered part is empty")
	case !utf8.Valid(b.Bytes()):
		return misuse("the rendered part is not UTF-8")
	case syntaxOf(p.name) == jsonText && !gjson.ValidBytes(b.Bytes()):
		return misuse("the rendered part is not JSON" + whereNotJSON(b.Bytes()))
	case syntaxOf(p.name) == html && bytes.Contains(b.Bytes(), refused):
		return misuse("a value stands in the HTML where it could do harm: in a style, in an attribute's name or in a list " +
			"of images")
	case p.name == EmailSubject:
		line := oneLine(b.String())
		b.Reset()
		b.WriteString(line)
		if len(line) > MaxSubjectBytes {
			return misuse("the rendered subject is longer than " + strconv.Itoa(MaxSubjectBytes) + " bytes")
		}
	}
	return nil
}

// whereNotJSON says where a rendered part is not JSON, without its content.
func whereNotJSON(rendered []byte) string {
	var value any
	var fault *json.SyntaxError
	if !errors.As(json.Unmarshal(rendered, &value), &fault) {
		return ""
	}
	before := rendered[:min(int(fault.Offset), len(rendered))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return " from its line " + strconv.Itoa(line) +
		" on: look for a comma, a quote or a bracket that is missing there, or too many"
}

// renderError keeps of an error what cannot hold the event's content: what our
// own functions said, and the position. Reads know theirs; for other functions
// Go's template packages have it.
func renderError(part string, err error) *Error {
	e := &Error{Reason: topology.ReasonRenderFailed}
	e.Part, e.Detail = part, "a function was given what it does not take"
	if exec, ok := errors.AsType[template.ExecError](err); ok {
		e.Part = sourceName(exec.Name)
		e.Line, _ = cutPosition(exec)
	}
	if wrong, ok := errors.AsType[misuse](err); ok {
		e.Detail = wrong.Error()
	}
	if read, ok := errors.AsType[*readError](err); ok {
		e.Part, e.Line, e.Detail = read.source.name, read.source.line(read.at), read.detail
		if read.missing {
			e.Reason, e.Path = topology.ReasonMissingData, read.shown
		}
	}
	return e
}

// sourceName is a template's own name: html/template adds to it where the
// template is included in an unusual place.
func sourceName(name string) string {
	own, _, _ := strings.Cut(name, "$htmltemplate")
	return own
}

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
