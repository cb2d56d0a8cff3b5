package template

import "strings"

// sanitize removes from a value what is not text but works upon the text around
// it: control characters other than tabs and line ends, and bidi controls, which
// turn the direction of what follows them. Embeddings and isolates stay where
// each is closed within its paragraph, as those of a well-formed text are;
// overrides never do. Right-to-left letters, their marks, and the joiners of
// emoji and Persian are text.
func sanitize(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return isBidi(r) || isControl(r) && !endsLine(r) }) {
		return s
	}
	keep := textOf(s)
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		if keep[i] {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Bidi controls, as the Unicode standard abbreviates them.
const (
	lre, rle, pdf, lro, rlo = '\u202a', '\u202b', '\u202c', '\u202d', '\u202e'
	lri, rli, fsi, pdi      = '\u2066', '\u2067', '\u2068', '\u2069'
)

func isBidi(r rune) bool { return r >= lre && r <= rlo || r >= lri && r <= pdi }

func endsLine(r rune) bool { return r == '\n' || r == '\r' }

// textOf finds what to keep, by its offset in bytes: of bidi controls, those
// that open and close each other.
func textOf(s string) []bool {
	type opened struct {
		at int
		by rune
	}
	keep := make([]bool, len(s))
	var open []opened
	isolates := 0 // among these
	for i, r := range s {
		keep[i] = !isBidi(r) && !isControl(r) || endsLine(r)
		last := len(open) - 1
		switch r {
		case lre, rle, lro, rlo:
			open = append(open, opened{i, r})
		case lri, rli, fsi:
			open = append(open, opened{i, r})
			isolates++
		case pdf: // closes the last embedding or override, unless an isolate began since
			if last >= 0 && open[last].by <= rlo {
				keep[i] = open[last].by < lro
				keep[open[last].at] = keep[i]
				open = open[:last]
			}
		case pdi: // closes the last isolate, and ends the embeddings within it that are still open
			if isolates == 0 {
				continue
			}
			for open[last].by <= rlo {
				last--
			}
			keep[i], keep[open[last].at] = true, true
			open = open[:last]
			isolates--
		case '\n', '\r', '\u2029':
			open, isolates = open[:0], 0
		}
	}
	return keep
}

// isControl reports whether a character is a control, a byte order mark or an
// annotation of the text around it.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}

// oneLine makes a header of a text: control characters, line ends among them,
// become spaces, spaces are not repeated, and no bidi control stays, nor
// anything that is there without being seen. The joiners of emoji and Persian
// stay, and so do the marks of right-to-left text.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if isBidi(r) || r == 0x200b || r == 0x2060 || r == 0xfeff || r >= 0xfff9 && r <= 0xfffb {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
	}), " ")
}
