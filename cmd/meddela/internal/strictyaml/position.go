package strictyaml

import (
	"math"
	"strings"
	"unicode"
)

// Line is the line of a key, from 1; 0 when it is not there.
func (m *Map) Line(key string) int { return m.fields[key].line }

// FailWithin notes that something is wrong at a position of a key's text, which
// may have lost the blanks around it.
func (m *Map) FailWithin(key, text string, line, column int, detail string) {
	m.failAt(m.lineWithin(key, text, line, column), key, detail)
}

// lineWithin is the line of the file that has a position of a key's text. YAML
// changes the blanks of a text in many ways, but nothing else of it, so the other
// characters are counted.
func (m *Map) lineWithin(key, text string, line, column int) int {
	at := m.Line(key)
	if line < 1 {
		return at
	}
	// What is wrong at the end is at the last letter.
	before := min(lettersBefore(text, line, column), lettersBefore(text, math.MaxInt, 0)-1)
	for _, r := range m.source(key) {
		switch {
		case r == '\n':
			at++
		case unicode.IsSpace(r):
		case before == 0:
			return at
		default:
			before--
		}
	}
	return at
}

// lettersBefore counts what is no blank before a position.
func lettersBefore(text string, line, column int) int {
	n := 0
	atLine, atColumn := 1, 1
	for _, r := range text {
		if atLine == line && atColumn >= column || atLine > line {
			break
		}
		if !unicode.IsSpace(r) {
			n++
		}
		if atColumn++; r == '\n' {
			atLine, atColumn = atLine+1, 1
		}
	}
	return n
}

// source is the file from the end of the key's line on where the value is a
// block, else from the value's first character on. Line ends before it are kept.
func (m *Map) source(key string) string {
	f := m.fields[key]
	lines := strings.Split(m.text, "\n")
	if f.line > len(lines) {
		return ""
	}
	own := lines[f.line-1]
	_, own, _ = strings.Cut(own[min(max(f.column-1, 0), len(own)):], ":")
	own = strings.TrimSpace(own)
	if own != "" && (own[0] == '|' || own[0] == '>') {
		own = ""
	}
	own = strings.TrimLeft(own, `"'`)
	return strings.Join(append([]string{own}, lines[f.line:]...), "\n")
}
