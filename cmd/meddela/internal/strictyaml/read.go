package strictyaml

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Map is a mapping that is being read. Its methods note what is wrong, and then
// return the zero value; each key that is asked for is known.
type Map struct {
	file   string
	line   int
	path   string // of the keys down to here, with dots between
	fields map[string]field
	keys   []string // in the order of the file
	known  map[string]bool
	faults *Faults
	inner  *[]*Map // every Map of the file
}

type field struct {
	line  int
	value ast.Node
}

// Read has a file's mapping read by a function, and returns what is wrong with
// it: Faults, or nil.
func Read(file, text string, read func(*Map)) error {
	var faults Faults
	if top := parse(file, text, &faults); top != nil {
		read(top)
		for _, m := range *top.inner {
			m.checkKnown()
		}
	}
	return faults.err()
}

func parse(file, text string, faults *Faults) *Map {
	fail := func(line int, detail string) *Map {
		*faults = append(*faults, Fault{file, line, detail})
		return nil
	}
	parsed, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		var located yaml.Error
		if errors.As(err, &located) && located.GetToken() != nil {
			return fail(located.GetToken().Position.Line, "this is not YAML: "+located.GetMessage())
		}
		return fail(0, "this is not YAML: "+err.Error())
	}
	switch {
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return fail(0, "the file is empty")
	case len(parsed.Docs) > 1:
		return fail(0, "there are several YAML documents: use one")
	}
	mapping, ok := parsed.Docs[0].Body.(ast.MapNode)
	if !ok {
		return fail(0, "it must be lines of key: value")
	}
	return newMap(&Map{file: file, faults: faults, inner: new([]*Map)}, mapping)
}

// newMap fills a Map with a mapping's fields.
func newMap(m *Map, mapping ast.MapNode) *Map {
	m.fields, m.known = make(map[string]field), make(map[string]bool)
	for each := mapping.MapRange(); each.Next(); {
		key, ok := textOf(each.Key())
		if !ok {
			key = each.Key().String()
		}
		m.keys = append(m.keys, key)
		m.fields[key] = field{each.Key().GetToken().Position.Line, each.Value()}
	}
	*m.inner = append(*m.inner, m)
	return m
}

// Fail notes that something is wrong with a key, or with the lack of it.
func (m *Map) Fail(key, detail string) {
	line := m.line
	if f, ok := m.fields[key]; ok {
		line = f.line
	}
	name := key
	if m.path != "" {
		name = m.path + "." + key
	}
	*m.faults = append(*m.faults, Fault{m.file, line, name + ": " + detail})
}

// Faulty is how much has been found wrong so far, in the whole file.
func (m *Map) Faulty() int { return len(*m.faults) }

// Has tells whether a key is there, and that it is known.
func (m *Map) Has(key string) bool {
	m.known[key] = true
	f, ok := m.fields[key]
	if !ok {
		return false
	}
	_, null := f.value.(*ast.NullNode)
	return !null
}

// Keys are those of the mapping, in the order of the file; all of them are known
// then.
func (m *Map) Keys() []string {
	for _, key := range m.keys {
		m.known[key] = true
	}
	return m.keys
}

func (m *Map) checkKnown() {
	known := make([]string, 0, len(m.known))
	for key := range m.known {
		known = append(known, key)
	}
	slices.Sort(known)
	for _, key := range m.keys {
		if m.known[key] {
			continue
		}
		if near := Nearest(key, known); near != "" {
			m.Fail(key, "there is no such key: did you mean "+near+"?")
		} else {
			m.Fail(key, "there is no such key: known are "+strings.Join(known, ", "))
		}
	}
}

// Text is a text; empty when it is not there.
func (m *Map) Text(key string) string {
	if !m.Has(key) {
		return ""
	}
	value := m.fields[key].value
	text, ok := scalarOf(value)
	switch _, bool := value.(*ast.BoolNode); {
	case bool:
		m.Fail(key, "it must be a text: put it in quotes")
	case !ok || text == "":
		m.Fail(key, "it must be a text")
	}
	return text
}

// Needed is a text that must be there.
func (m *Map) Needed(key, example string) string {
	if !m.Has(key) {
		m.Fail(key, "it is missing: say "+key+": "+example)
		return ""
	}
	return m.Text(key)
}

// OneOf is a text of a list; otherwise when it is not there.
func (m *Map) OneOf(key, otherwise string, words ...string) string {
	if !m.Has(key) {
		return otherwise
	}
	text := m.Text(key)
	if text != "" && !slices.Contains(words, text) {
		hint := ""
		if near := Nearest(strings.ToLower(text), words); near != "" {
			hint = ": did you mean " + near + "?"
		}
		m.Fail(key, strconv.Quote(text)+" must be one of "+strings.Join(words, ", ")+hint)
		return otherwise
	}
	return text
}

// Bool is true or false; false when it is not there.
func (m *Map) Bool(key string) bool {
	if !m.Has(key) {
		return false
	}
	b, ok := m.fields[key].value.(*ast.BoolNode)
	if !ok {
		m.Fail(key, "it must be true or false, without quotes")
		return false
	}
	return b.Value
}

// Int is a whole number of a range; 0 when it is not there.
func (m *Map) Int(key string, least, most int) int {
	if !m.Has(key) {
		return 0
	}
	text, _ := scalarOf(m.fields[key].value)
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		m.Fail(key, "it must be a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return 0
	}
	return n
}

// Number is a number of a range; 0 when it is not there.
func (m *Map) Number(key string, least, most float64) float64 {
	if !m.Has(key) {
		return 0
	}
	text, _ := scalarOf(m.fields[key].value)
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || x < least || x > most {
		number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
		m.Fail(key, "it must be a number from "+number(least)+" to "+number(most))
		return 0
	}
	return x
}

// Duration is a length of time of a range; 0 when it is not there.
func (m *Map) Duration(key string, least, most time.Duration) time.Duration {
	if !m.Has(key) {
		return 0
	}
	text, _ := scalarOf(m.fields[key].value)
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		m.Fail(key, "it must be a length of time from "+least.String()+" to "+most.String()+", such as "+max(least, min(most, 10*time.Second)).String())
		return 0
	}
	return d
}

// Texts is a list of texts, or the only one.
func (m *Map) Texts(key string) []string {
	if !m.Has(key) {
		return nil
	}
	value := m.fields[key].value
	if text, ok := scalarOf(value); ok && text != "" {
		return []string{text}
	}
	list, ok := value.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		m.Fail(key, "it must be a list of texts, such as ["+key+"]")
		return nil
	}
	var texts []string
	for _, node := range list.Values {
		text, ok := scalarOf(node)
		if !ok || text == "" {
			m.Fail(key, "it must be a list of texts")
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// Map is a mapping within; nil when it is not there.
func (m *Map) Map(key string) *Map {
	if !m.Has(key) {
		return nil
	}
	return m.within(key, m.fields[key].value)
}

func (m *Map) within(key string, node ast.Node) *Map {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		m.Fail(key, "it must be a mapping, that is lines of key: value below it")
		return nil
	}
	path := key
	if m.path != "" {
		path = m.path + "." + key
	}
	return newMap(&Map{file: m.file, line: node.GetToken().Position.Line, path: path, faults: m.faults, inner: m.inner}, mapping)
}

// Maps is a list of mappings.
func (m *Map) Maps(key string) []*Map {
	if !m.Has(key) {
		return nil
	}
	list, ok := m.fields[key].value.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		m.Fail(key, "it must be a list, that is lines that begin with a dash")
		return nil
	}
	var maps []*Map
	for i, node := range list.Values {
		mapping, ok := node.(ast.MapNode)
		if !ok {
			*m.faults = append(*m.faults, Fault{m.file, node.GetToken().Position.Line, key + ": each of the list must be a mapping, that is lines of key: value"})
			continue
		}
		path := key + "[" + strconv.Itoa(i) + "]"
		if m.path != "" {
			path = m.path + "." + path
		}
		maps = append(maps, newMap(&Map{file: m.file, line: node.GetToken().Position.Line, path: path, faults: m.faults, inner: m.inner}, mapping))
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

// HasMaps tells whether a key's value is a list that begins with a mapping.
func (m *Map) HasMaps(key string) bool {
	if !m.Has(key) {
		return false
	}
	list, ok := m.fields[key].value.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		return false
	}
	_, ok = list.Values[0].(ast.MapNode)
	return ok
}

// IsMap tells whether a key's value is a mapping, and not a text or a list.
func (m *Map) IsMap(key string) bool {
	if !m.Has(key) {
		return false
	}
	_, ok := m.fields[key].value.(ast.MapNode)
	return ok
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

// scalarOf is a text, or a number as it is written.
func scalarOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return n.GetToken().Value, true
	case *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return textOf(n)
}

// Nearest returns the word that was most likely meant; empty when none is near.
func Nearest(word string, known []string) string {
	best, least := "", min(len(word)/3+1, 4)
	for _, k := range known {
		if d := Distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// Distance is how many letters must be added, removed or changed.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
