package template

import (
	"strings"
	"unicode/utf8"
)

// tame removes from a value what is not text but works upon the text around
// it: control characters other than tabs and line ends, and the characters that
// turn the direction of what follows them. Embeddings and isolates stay where
// each is closed within its paragraph, as those of a well-formed text are;
// overrides never do. Right-to-left letters, their marks, and the joiners of
// emoji and Persian are text.
func tame(s string) string {
	if !hasWild(s) {
		return s
	}
	wild := wildOf(s)
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		if !wild[i] {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hasWild tells, of UTF-8, whether there is anything to look at.
func hasWild(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case ' ' <= c && c < 0x7f, c == '\n', c == '\t', c == '\r':
		case c <= 0x7f:
			return true
		case c == 0xc2 && i+1 < len(s) && s[i+1] < 0xa0:
			return true
		case (c == 0xe2 || c == 0xef) && i+2 < len(s):
			r, _ := utf8.DecodeRuneInString(s[i:])
			if isTurn(r) || isControl(r) {
				return true
			}
		}
	}
	return false
}

// Characters that turn directions, as the Unicode standard abbreviates them.
const (
	lre, rle, pdf, lro, rlo = '\u202a', '\u202b', '\u202c', '\u202d', '\u202e'
	lri, rli, fsi, pdi      = '\u2066', '\u2067', '\u2068', '\u2069'
)

func isTurn(r rune) bool { return r >= lre && r <= rlo || r >= lri && r <= pdi }

// turns follows a text's turns of direction, to find what to remove.
type turns struct {
	open     []turn // and not closed yet
	isolates int    // among these
	wild     []bool // by place in bytes
}

type turn struct {
	at                int
	isolate, override bool
}

// wildOf finds what to remove, by its place in bytes.
func wildOf(s string) []bool {
	t := turns{wild: make([]bool, len(s))}
	for i, r := range s {
		switch r {
		case lre, rle, lro, rlo:
			t.open = append(t.open, turn{at: i, override: r == lro || r == rlo})
		case lri, rli, fsi:
			t.open = append(t.open, turn{at: i, isolate: true})
			t.isolates++
		case pdf:
			t.closeEmbedding(i)
		case pdi:
			t.closeIsolate(i)
		case '\n', '\r', '\u2029':
			t.dropAll()
		default:
			if isControl(r) {
				t.wild[i] = true
			}
		}
	}
	t.dropAll()
	return t.wild
}

func (t *turns) pop() turn {
	top := t.open[len(t.open)-1]
	t.open = t.open[:len(t.open)-1]
	if top.isolate {
		t.isolates--
	}
	return top
}

func (t *turns) closeEmbedding(at int) {
	if len(t.open) == 0 || t.open[len(t.open)-1].isolate {
		t.wild[at] = true
	} else if top := t.pop(); top.override {
		t.wild[top.at], t.wild[at] = true, true
	}
}

// closeIsolate closes the last isolate, and drops the embeddings within it that
// are still open.
func (t *turns) closeIsolate(at int) {
	if t.isolates == 0 {
		t.wild[at] = true
		return
	}
	for top := t.pop(); !top.isolate; top = t.pop() {
		t.wild[top.at] = true
	}
}

func (t *turns) dropAll() {
	for len(t.open) > 0 {
		t.wild[t.pop().at] = true
	}
}

// isControl tells whether a character is a control, a byte order mark or an
// annotation of the text around it.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}

// oneLine makes a header of a text: control characters, line ends among them,
// become spaces, spaces are not repeated, and nothing turns directions or is
// there without being seen.
func oneLine(s string) string {
	if strings.ContainsFunc(s, isUnseen) {
		s = strings.Map(func(r rune) rune {
			if isUnseen(r) {
				return -1
			}
			return r
		}, s)
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
	}), " ")
}

// isUnseen tells whether a character has no place in a line by itself. The
// joiners of emoji and Persian have, and so have the marks of right-to-left text.
func isUnseen(r rune) bool {
	return isTurn(r) || r == 0x200b || r == 0x2060 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}
