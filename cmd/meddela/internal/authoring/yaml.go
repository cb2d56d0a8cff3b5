package authoring

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/consumer/template/condition"
)

// manifest is the top of a YAML file: a mapping whose every key has a line, so
// that every fault can be told with it.
type manifest struct {
	file   string
	raw    string
	fields map[string]field
	keys   []string // in the order of the file
	faults *Faults
	// condition is that of the key when; nil where there is none, or a bad one.
	condition *condition.Condition
}

type field struct {
	line   int // of the key, from 1
	column int // of the key, from 1, in characters
	value  ast.Node
}

// parseManifest returns nil when the text is not a mapping.
func parseManifest(file, text string, faults *Faults) *manifest {
	parsed, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		line, what := 0, err.Error()
		var located yaml.Error
		if errors.As(err, &located) {
			what = located.GetMessage()
			if token := located.GetToken(); token != nil {
				line = token.Position.Line
			}
		}
		faults.add(file, line, "is not YAML: "+rewordedYAML(what))
		return nil
	}
	if len(parsed.Docs) > 1 {
		faults.add(file, 0, "has several YAML documents: a template is one")
		return nil
	}
	m := &manifest{file: file, raw: text, fields: map[string]field{}, faults: faults}
	if len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil {
		return m
	}
	mapping, ok := parsed.Docs[0].Body.(ast.MapNode)
	if !ok {
		faults.add(file, 0, "must be lines of key: value, such as channel: email")
		return nil
	}
	for each := mapping.MapRange(); each.Next(); {
		key, ok := textOf(each.Key())
		if !ok {
			key = each.Key().String()
		}
		m.keys = append(m.keys, key)
		at := each.Key().GetToken().Position
		m.fields[key] = field{at.Line, at.Column, each.Value()}
	}
	return m
}

func (m *manifest) has(key string) bool { _, ok := m.fields[key]; return ok }
func (m *manifest) line(key string) int { return m.fields[key].line }
func (m *manifest) fail(key, detail string) {
	if m.has(key) {
		detail = key + ": " + detail
	}
	m.faults.add(m.file, m.line(key), detail)
}

// onlyKnown finds keys that mean nothing.
func (m *manifest) onlyKnown(known []string) {
	for _, key := range m.keys {
		nearest, distance := "", 3
		for _, k := range known {
			if d := strictyaml.Distance(key, k); d < distance {
				nearest, distance = k, d
			}
		}
		switch {
		case distance == 0:
		case nearest != "":
			m.fail(key, "is no such key: did you mean "+nearest+"?")
		default:
			m.fail(key, "is no such key: known are "+strings.Join(known, ", "))
		}
	}
}

// text is a key's text; empty when it is absent or a fault.
func (m *manifest) text(key string) string {
	f, ok := m.fields[key]
	if !ok {
		return ""
	}
	text, ok := textOf(f.value)
	if !ok || text == "" {
		m.fail(key, "must be a text")
	}
	return text
}

// texts is a key's list of texts, or its only text.
func (m *manifest) texts(key string) []string {
	f, ok := m.fields[key]
	if !ok {
		return nil
	}
	if text, ok := textOf(f.value); ok {
		return []string{text}
	}
	list, ok := f.value.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		m.fail(key, "must be a list of texts, such as [order_confirmation]")
		return nil
	}
	texts := make([]string, 0, len(list.Values))
	for _, value := range list.Values {
		text, ok := textOf(value)
		if !ok {
			m.faults.add(m.file, value.GetToken().Position.Line, key+": must be a list of texts: put "+value.GetToken().Value+" into quotes")
			continue
		}
		texts = append(texts, text)
	}
	return texts
}

func (m *manifest) boolean(key string) bool {
	f, ok := m.fields[key]
	if !ok {
		return false
	}
	b, ok := f.value.(*ast.BoolNode)
	if !ok {
		m.fail(key, "must be true or false, without quotes")
		return false
	}
	return b.Value
}

// oneOf is a text of a closed list; empty when it is absent or a fault.
func (m *manifest) oneOf(key string, words ...string) string {
	text := m.text(key)
	for _, w := range words {
		if text == w {
			return w
		}
	}
	if text != "" {
		hint := ""
		if meant := strictyaml.Nearest(strings.ToLower(text), words); meant != "" {
			hint = ": did you mean " + meant + "?"
		}
		m.fail(key, strconv.Quote(text)+" must be one of "+strings.Join(words, ", ")+hint)
	}
	return ""
}

func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

var (
	keyTwice  = regexp.MustCompile(`^mapping key "(.*)" already defined at \[([0-9]+):`)
	tabBefore = regexp.MustCompile(`^found character '\t' that cannot start any token`)
)

// rewordedYAML says what the parser says in the words of authors, where its own
// do not help.
func rewordedYAML(what string) string {
	if m := keyTwice.FindStringSubmatch(what); m != nil {
		return m[1] + " is there already, in line " + m[2] + ": remove one of the two"
	}
	switch {
	case tabBefore.MatchString(what):
		return "the line begins with a tab: indent it with blanks"
	case strings.HasPrefix(what, "value is not allowed in this context"):
		return "something follows a value that has ended: put all of it into quotes, or below the key with a | behind that"
	}
	return what
}
