package template

import (
	"strings"
	"unicode/utf8"
)

// sanitize removes from a value what is not text but works upon the text around
// it: control characters other than tabs and line ends, and bidi controls, which
// turn the direction of what follows them. Embeddings and isolates stay where
// each is closed within its paragraph, as those of a well-formed text are;
// overrides never do. Right-to-left letters, their marks, and the joiners of
// emoji and Persian are text.
func sanitize(s string) string {
	if !hasControls(s) {
		return s
	}
	remove := controlsToRemove(s)
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		if !remove[i] {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hasControls reports, of UTF-8, whether there is anything to look at.
func hasControls(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case ' ' <= c && c < 0x7f, c == '\n', c == '\t', c == '\r':
		case c <= 0x7f:
			return true
		case c == 0xc2 && i+1 < len(s) && s[i+1] < 0xa0:
			return true
		case (c == 0xe2 || c == 0xef) && i+2 < len(s):
			r, _ := utf8.DecodeRuneInString(s[i:])
			if isBidi(r) || isControl(r) {
				return true
			}
		}
	}
	return false
}

// Bidi controls, as the Unicode standard abbreviates them.
const (
	lre, rle, pdf, lro, rlo = '\u202a', '\u202b', '\u202c', '\u202d', '\u202e'
	lri, rli, fsi, pdi      = '\u2066', '\u2067', '\u2068', '\u2069'
)

func isBidi(r rune) bool { return r >= lre && r <= rlo || r >= lri && r <= pdi }

// opened is a bidi control that is not closed yet.
type opened struct {
	at                int
	isolate, override bool
}

// controlsToRemove finds what to remove, by its offset in bytes.
func controlsToRemove(s string) []bool {
	remove := make([]bool, len(s))
	var open []opened
	isolates := 0 // among these
	pop := func() opened {
		top := open[len(open)-1]
		open = open[:len(open)-1]
		if top.isolate {
			isolates--
		}
		return top
	}
	removeOpen := func() {
		for len(open) > 0 {
			remove[pop().at] = true
		}
	}
	for i, r := range s {
		switch r {
		case lre, rle, lro, rlo:
			open = append(open, opened{at: i, override: r == lro || r == rlo})
		case lri, rli, fsi:
			open = append(open, opened{at: i, isolate: true})
			isolates++
		case pdf: // closes the last embedding or override, unless an isolate began since
			if len(open) == 0 || open[len(open)-1].isolate {
				remove[i] = true
			} else if top := pop(); top.override {
				remove[top.at], remove[i] = true, true
			}
		case pdi: // closes the last isolate, and ends the embeddings within it that are still open
			if isolates == 0 {
				remove[i] = true
				continue
			}
			for top := pop(); !top.isolate; top = pop() {
				remove[top.at] = true
			}
		case '\n', '\r', '\u2029':
			removeOpen()
		default:
			if isControl(r) {
				remove[i] = true
			}
		}
	}
	removeOpen()
	return remove
}

// isControl reports whether a character is a control, a byte order mark or an
// annotation of the text around it.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}

// oneLine makes a header of a text: control characters, line ends among them,
// become spaces, spaces are not repeated, and no bidi control stays, nor
// anything that is there without being seen.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if isUnseen(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
	}), " ")
}

// isUnseen reports whether a character has no place in a line by itself. The
// joiners of emoji and Persian have, and so have the marks of right-to-left text.
func isUnseen(r rune) bool {
	return isBidi(r) || r == 0x200b || r == 0x2060 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}
