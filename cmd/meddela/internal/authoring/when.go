package authoring

import (
	"errors"
	"math"
	"strings"
	"unicode"

	"github.com/meddela/meddela/consumer/template/condition"
)

// readWhen reads the condition, without the blanks around it, and says what is
// wrong in it at the line of the file where that is.
func (m *manifest) readWhen() string {
	if !m.has("when") {
		return ""
	}
	if _, ok := textOf(m.fields["when"].value); !ok {
		m.fail("when", "must be a text: put the condition into quotes, or below when: | with two blanks before each line")
		return ""
	}
	when := strings.TrimSpace(m.text("when"))
	if when == "" {
		return ""
	}
	compiled, err := condition.Compile(when)
	var faults condition.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			m.faults.add(m.file, m.lineWithin("when", when, f.Line, f.Column), "when: "+f.Detail)
		}
		return when
	}
	m.condition = compiled
	return when
}

// lineWithin is the line of the file that has a place of a text, which is the
// key's value. YAML changes the blanks of a text in many ways, but nothing else
// of it, so the other characters are counted.
func (m *manifest) lineWithin(key, value string, line, column int) int {
	if line < 1 {
		return m.line(key)
	}
	// What is wrong at the end is at the last letter.
	before := min(lettersBefore(value, line, column), lettersBefore(value, math.MaxInt, 0)-1)
	at := m.line(key)
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

// lettersBefore counts what is no blank before a place.
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
func (m *manifest) source(key string) string {
	f := m.fields[key]
	lines := strings.Split(m.raw, "\n")
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
