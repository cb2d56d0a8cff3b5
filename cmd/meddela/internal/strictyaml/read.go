// Package strictyaml reads YAML files of nested mappings, and tells of everything
// that is wrong in one at once, with the line and with what to do. A key that
// nobody asks for is wrong too.
//
// It reads the syntax tree itself: a decoder into structs stops at the first
// unknown key.
package strictyaml

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/topology/nearest"
)

// Map is a mapping that is being read. Its methods note what is wrong, and then
// return the zero value; each key that is asked for is known.
type Map struct {
	*document
	line   int
	path   string // of the keys down to here, with dots between and behind
	fields map[string]field
	keys   []string // in the order of the file
	known  map[string]bool
}

// document is what all mappings of a file share.
type document struct {
	file   string
	text   string
	faults *faults.List
	maps   []*Map
}

type field struct {
	line, column int // of the key, from 1
	value        ast.Node
}

// Read has a file's mapping read by a function, and returns what is wrong with
// it: faults.List, or nil.
func Read(file, text string, read func(*Map)) error {
	var found faults.List
	if top := Open(file, text, &found); top != nil {
		read(top)
		top.Close()
	}
	return found.Err()
}

// Open parses a file's text; where that is no mapping it notes so, and returns nil.
func Open(file, text string, found *faults.List) *Map {
	fail := func(line int, detail string) *Map {
		found.Add(file, line, detail)
		return nil
	}
	tokens := lexer.Tokenize(text)
	if line := tooDeep(tokens); line > 0 {
		return fail(line, fmt.Sprintf("values stand within each other deeper than %d here: "+
			"put quotes around a text with brackets", maxDepth))
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	switch {
	case err != nil:
		line, what := 0, err.Error()
		if located, ok := errors.AsType[yaml.Error](err); ok && located.GetToken() != nil {
			line, what = located.GetToken().Position.Line, strings.ReplaceAll(located.GetMessage(), "\t", `\t`)
		}
		return fail(line, "this is not YAML: "+what+
			" (indent with spaces, and put quotes around a text that has any of : # { [ ' \" in it)")
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return fail(0, "the file is empty")
	case len(parsed.Docs) > 1:
		return fail(0, "there are several YAML documents: use one")
	}
	mapping, ok := parsed.Docs[0].Body.(ast.MapNode)
	if !ok {
		return fail(0, "it must be lines of key: value")
	}
	return (&document{file: file, text: text, faults: found}).add(mapping, 0, "")
}

// maxDepth bounds the brackets within each other, and the dashes before them in one
// line: the parser keeps for each value the path to it.
const maxDepth = 32

// tooDeep is the first line that nests deeper; 0 for none.
func tooDeep(tokens token.Tokens) int {
	open, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType:
			dashes++
		}
		if open+dashes > maxDepth {
			return line
		}
	}
	return 0
}

// Close notes every key of the file that nobody has asked for.
func (d *document) Close() {
	for _, m := range d.maps {
		known := slices.Sorted(maps.Keys(m.known))
		for _, key := range m.keys {
			if !m.known[key] {
				hint := cmp.Or(nearest.DidYouMean(key, known), ": known are "+strings.Join(known, ", "))
				m.Fail(key, "there is no such key"+hint)
			}
		}
	}
}

func (d *document) add(mapping ast.MapNode, line int, path string) *Map {
	m := &Map{document: d, line: line, path: path, fields: make(map[string]field), known: make(map[string]bool)}
	for each := mapping.MapRange(); each.Next(); {
		key := cmp.Or(textOf(each.Key()), each.Key().String())
		at := each.Key().GetToken().Position
		if first, twice := m.fields[key]; twice {
			m.failAt(at.Line, key, "it is there already, in line "+strconv.Itoa(first.line)+": remove one of the two")
			continue
		}
		m.keys = append(m.keys, key)
		m.fields[key] = field{at.Line, at.Column, each.Value()}
	}
	d.maps = append(d.maps, m)
	return m
}

// Fail notes that something is wrong with a key, or with the lack of it.
func (m *Map) Fail(key, detail string) {
	m.failAt(cmp.Or(m.Line(key), m.line), key, detail)
}

func (m *Map) failAt(line int, key, detail string) {
	m.faults.Add(m.file, line, m.path+key+": "+detail)
}

// Faulty is how much has been found wrong in the file so far.
func (m *Map) Faulty() int { return len(*m.faults) }

// Has reports whether a key has a value, and makes it known.
func (m *Map) Has(key string) bool {
	m.known[key] = true
	f, ok := m.fields[key]
	return ok && f.value.Type() != ast.NullType
}

// Keys are those of the mapping, in the order of the file; all are known then.
func (m *Map) Keys() []string {
	for _, key := range m.keys {
		m.known[key] = true
	}
	return m.keys
}

// NoneEmpty notes each key that has no value.
func (m *Map) NoneEmpty() {
	for _, key := range m.keys {
		if m.fields[key].value.Type() == ast.NullType {
			m.Fail(key, "it says nothing: give it a value, or remove it")
		}
	}
}

// Text is a text; empty when it is not there. A number counts as it is written.
func (m *Map) Text(key string) string {
	if !m.Has(key) {
		return ""
	}
	value := m.fields[key].value
	text := scalarOf(value)
	if value.Type() == ast.BoolType {
		m.Fail(key, "it must be a text: put it in quotes")
	} else if text == "" {
		m.Fail(key, "it must be a text")
	}
	return text
}

// Needs notes that a key has no value, and what to say, or else makes it known.
func (m *Map) Needs(key, hint string) bool {
	has := m.Has(key)
	if !has {
		m.Fail(key, "it is missing: "+hint)
	}
	return has
}

// Needed is a text that must be there.
func (m *Map) Needed(key, example string) string {
	m.Needs(key, "say "+key+": "+example)
	return m.Text(key)
}

// validName is what can stand in logs, metrics, headers, keys and orders.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Name is the key name, which must be there.
func (m *Map) Name(example string) string {
	name := m.Needed("name", example)
	if name != "" && !validName.MatchString(name) {
		m.Fail("name", "it must be 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit")
	}
	return name
}

// OneOf is a text of a list; otherwise when it is not there, or wrong.
func (m *Map) OneOf(key, otherwise string, words ...string) string {
	text := m.Text(key)
	if text == "" || slices.Contains(words, text) {
		return cmp.Or(text, otherwise)
	}
	m.Fail(key, strconv.Quote(text)+" must be one of "+strings.Join(words, ", ")+
		nearest.DidYouMean(strings.ToLower(text), words))
	return otherwise
}

// valueOf is a key's value if it is a kind of node.
func valueOf[N any](m *Map, key, otherwise string) (value N, ok bool) {
	if !m.Has(key) {
		return value, false
	}
	if value, ok = any(m.fields[key].value).(N); !ok {
		m.Fail(key, otherwise)
	}
	return value, ok
}

// Bool is true or false; false when it is not there.
func (m *Map) Bool(key string) bool {
	b, ok := valueOf[*ast.BoolNode](m, key, "it must be true or false, without quotes")
	return ok && b.Value
}

// Int is a whole number of a range; 0 when it is not there.
func (m *Map) Int(key string, least, most int) int {
	return inRange(m, key, "a whole number", "", least, most, strconv.Atoi)
}

// Number is a number of a range; 0 when it is not there.
func (m *Map) Number(key string, least, most float64) float64 {
	parse := func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
	return inRange(m, key, "a number", "", least, most, parse)
}

// Duration is a length of time of a range; 0 when it is not there.
func (m *Map) Duration(key string, least, most time.Duration) time.Duration {
	example := ", such as " + max(least, min(most, 10*time.Second)).String()
	return inRange(m, key, "a length of time", example, least, most, time.ParseDuration)
}

func inRange[T cmp.Ordered](m *Map, key, what, example string, least, most T, parse func(string) (T, error)) (value T) {
	if !m.Has(key) {
		return value
	}
	text := scalarOf(m.fields[key].value)
	parsed, err := parse(text)
	if err == nil && least <= parsed && parsed <= most { // which no NaN is
		return parsed
	}
	m.Fail(key, fmt.Sprintf("it must be %s from %v to %v%s", what, least, most, example))
	return value
}

// Texts is a list of texts, or the only one. A number, true and false count as they are written.
func (m *Map) Texts(key string) []string { return m.texts(key, scalarOf) }

// Strings is Texts without numbers, which must be in quotes.
func (m *Map) Strings(key string) []string { return m.texts(key, textOf) }

func (m *Map) texts(key string, read func(ast.Node) string) (texts []string) {
	if !m.Has(key) {
		return nil
	}
	if text := read(m.fields[key].value); text != "" {
		return []string{text}
	}
	for _, node := range m.list(key, "it must be a list of texts, such as ["+key+"]") {
		if text := read(node); text != "" {
			texts = append(texts, text)
			continue
		}
		detail := "it must be a list of texts"
		if word := node.GetToken().Value; word != "" && is[ast.ScalarNode](node) {
			detail += ": put " + word + " into quotes"
		}
		m.failAt(node.GetToken().Position.Line, key, detail)
	}
	return texts
}

// list is the members of a list that has some.
func (m *Map) list(key, otherwise string) []ast.Node {
	list, ok := valueOf[*ast.SequenceNode](m, key, otherwise)
	if !ok {
		return nil
	}
	if len(list.Values) == 0 {
		m.Fail(key, otherwise)
	}
	return list.Values
}

// Map is a mapping within; nil when it is not there.
func (m *Map) Map(key string) *Map {
	mapping, ok := valueOf[ast.MapNode](m, key, "it must be a mapping, that is lines of key: value below it")
	if !ok {
		return nil
	}
	return m.add(mapping, m.fields[key].value.GetToken().Position.Line, m.path+key+".")
}

// Maps is a list of mappings.
func (m *Map) Maps(key string) (maps []*Map) {
	for i, node := range m.list(key, "it must be a list, that is lines that begin with a dash") {
		line := node.GetToken().Position.Line
		if mapping, ok := node.(ast.MapNode); ok {
			maps = append(maps, m.add(mapping, line, m.path+key+"["+strconv.Itoa(i)+"]."))
		} else {
			m.failAt(line, key, "each of the list must be a mapping, that is lines of key: value")
		}
	}
	return maps
}

// TextMap is a mapping of texts.
func (m *Map) TextMap(key string) map[string]string {
	within := m.Map(key)
	if within == nil {
		return nil
	}
	texts := make(map[string]string)
	for _, name := range within.Keys() {
		texts[name] = within.Text(name)
	}
	return texts
}

// HasMaps reports whether a key's value is a list that begins with a mapping.
func (m *Map) HasMaps(key string) bool {
	m.known[key] = true
	list, _ := m.fields[key].value.(*ast.SequenceNode)
	return list != nil && len(list.Values) > 0 && is[ast.MapNode](list.Values[0])
}

// IsMap reports whether a key's value is a mapping, and not a text or a list.
func (m *Map) IsMap(key string) bool {
	m.known[key] = true
	return is[ast.MapNode](m.fields[key].value)
}

func is[N any](n ast.Node) bool {
	_, ok := any(n).(N)
	return ok
}

func textOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return ""
}

// scalarOf is a text, or a number, true or false as it is written.
func scalarOf(n ast.Node) string {
	switch n.Type() {
	case ast.IntegerType, ast.FloatType, ast.BoolType:
		return n.GetToken().Value
	}
	return textOf(n)
}
