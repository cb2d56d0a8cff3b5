package template

import (
	"bytes"
	"encoding/json"
	"errors"
	htmltemplate "html/template"
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

// newPart makes a part of its trees.
func newPart(name string, set *treeSet) (*part, *Fault) {
	if set.syntax == html {
		return newHTMLPart(name, set)
	}
	t := template.New(name).Funcs(set.functions())
	for treeName, tree := range set.trees {
		if _, err := t.AddParseTree(treeName, tree); err != nil {
			return nil, &Fault{Part: name, Detail: err.Error()}
		}
	}
	return &part{name: name, template: t}, nil
}

func newHTMLPart(name string, set *treeSet) (*part, *Fault) {
	t := htmltemplate.New(name).Funcs(set.functions())
	for treeName, tree := range set.trees {
		if _, err := t.AddParseTree(treeName, tree); err != nil {
			return nil, &Fault{Part: name, Detail: err.Error()}
		}
	}
	t = t.Lookup(name)
	// The package escapes a template when it is first executed. Doing that
	// here, with a writer that takes nothing, brings its faults to light.
	err := t.Execute(&limited{to: new(bytes.Buffer), steps: maxSteps}, nil)
	var fault *htmltemplate.Error
	if errors.As(err, &fault) {
		return nil, set.escapingFault(fault, name)
	}
	t.Funcs(htmltemplate.FuncMap{filterName: filterAddress})
	return &part{name: name, template: t}, nil
}

// sourceName is a template's own name: html/template adds to it where the
// template is included in an unusual place.
func sourceName(name string) string {
	own, _, _ := strings.Cut(name, "$htmltemplate")
	return own
}

// functions are those that the trees call, our own among them.
func (s *treeSet) functions() map[string]any {
	functions := map[string]any{
		fnValue:    s.accesses.value,
		fnMaybe:    s.accesses.maybe,
		fnText:     s.accesses.text,
		fnIndex:    s.accesses.index,
		fnIterable: s.accesses.iterable,
		fnScalar:   scalar,
		fnFalsy:    falsy,
		fnJSON:     toJSON,
		fnQuoted:   quoted,
	}
	for name := range s.called {
		if of, ok := localFunctions[name]; ok {
			functions[name] = of(s.localized)
		} else if function, ok := plainFunctions[name]; ok {
			functions[name] = function
		}
	}
	return functions
}

// render writes the part to b.
func (p *part) render(b *bytes.Buffer, d *data, deadline time.Time) *Error {
	if err := p.execute(&limited{to: b, deadline: deadline}, d); err != nil {
		return p.renderError(err)
	}
	if fault := p.finish(b); fault != "" {
		return &Error{Reason: topology.ReasonRenderFailed, Part: p.name, Detail: fault}
	}
	return nil
}

// errIncluded is all that is known of a failure in a piece that html/template has
// copied for a place that is no text: where text/template then looks for the
// line, there is no source, and it panics.
const errIncluded = misuse("an included piece failed that stands in an attribute, a title or the like: it reads a value that is missing or does not fit; write it there in place of the inclusion to see which")

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

// finish checks what was rendered, and says what is wrong with it.
func (p *part) finish(b *bytes.Buffer) string {
	switch {
	case len(bytes.TrimSpace(b.Bytes())) == 0 && p.name != EmailUnsubscribe && p.name != EmailAttachments:
		return "the rendered part is empty"
	case !utf8.Valid(b.Bytes()):
		return "the rendered part is not UTF-8"
	case syntaxOf(p.name) == jsonText && !gjson.ValidBytes(b.Bytes()):
		return "the rendered part is not JSON" + whereNotJSON(b.Bytes())
	case syntaxOf(p.name) == html && bytes.Contains(b.Bytes(), refused):
		return "a value stands in the HTML where it could do harm: in a style, in an attribute's name or in a list of images"
	case p.name == EmailSubject:
		line := oneLine(b.String())
		b.Reset()
		b.WriteString(line)
		if len(line) > MaxSubjectBytes {
			return "the rendered subject is longer than " + strconv.Itoa(MaxSubjectBytes) + " bytes"
		}
	}
	return ""
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
	return " from its line " + strconv.Itoa(line) + " on: look for a comma, a quote or a bracket that is missing there, or too many"
}

// renderError keeps of an error what cannot hold the event's content: what our
// own functions said, and the place.
func (p *part) renderError(err error) *Error {
	e := &Error{Reason: topology.ReasonRenderFailed, Part: p.name}
	var exec template.ExecError
	if errors.As(err, &exec) {
		e.Line = lineOf(exec)
		e.Part = sourceName(exec.Name)
	}
	var gone *missing
	var wrong misuse
	switch {
	case errors.As(err, &gone):
		e.Reason, e.Path, e.Detail = topology.ReasonMissingData, gone.path, gone.Error()
	case errors.As(err, &wrong):
		e.Detail = wrong.Error()
	default:
		e.Detail = "a function was given what it does not take"
	}
	return e
}

// lineOf reads the line out of an error's text, which is the only place that
// has it: "template: name:line:column: …".
func lineOf(err template.ExecError) int {
	rest, _ := strings.CutPrefix(err.Error(), "template: ")
	// A name may have colons, so look for the first number between two.
	for {
		_, after, found := strings.Cut(rest, ":")
		if !found {
			return 0
		}
		number, _, _ := strings.Cut(after, ":")
		if n, err := strconv.Atoi(number); err == nil {
			return n
		}
		rest = after
	}
}
