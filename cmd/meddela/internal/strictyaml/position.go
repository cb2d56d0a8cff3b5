package strictyaml

import "strings"

// Line is the line of a key, from 1; 0 when it is not there.
func (m *Map) Line(key string) int { return m.fields[key].line }

// FailWithin notes that something is wrong at a position of a key's text. YAML changes
// the blanks of a text in many ways, but nothing else, so the other characters are
// counted to find the line of the file.
func (m *Map) FailWithin(key, text string, line, column int, detail string) {
	at, lines := m.Line(key), strings.SplitAfter(text, "\n")
	if 1 <= line && line <= len(lines) {
		own := []rune(lines[line-1])
		before := strings.Join(lines[:line-1], "") + string(own[:min(max(column-1, 0), len(own))])
		left := min(letters(before), letters(text)-1) // what is wrong at the end is at the last letter
		for _, l := range m.source(key) {
			if left -= letters(l); left < 0 {
				break
			}
			at++
		}
	}
	m.failAt(at, key, detail)
}

// letters counts the bytes that are no blanks.
func letters(text string) int { return len(strings.Join(strings.Fields(text), "")) }

// source is the lines of the file from a key's on, of which the first has only what is
// there of the value.
func (m *Map) source(key string) []string {
	f, lines := m.fields[key], strings.Split(m.text, "\n")
	lines = lines[min(f.line, len(lines))-1:]
	_, own, _ := strings.Cut(lines[0][min(f.column-1, len(lines[0])):], ":")
	if own = strings.TrimSpace(own); strings.IndexAny(own, "|>") == 0 {
		own = "" // the text begins below
	}
	lines[0] = strings.TrimLeft(own, `"'`)
	return lines
}
