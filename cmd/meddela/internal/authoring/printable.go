package authoring

import (
	"strings"
	"unicode"
)

// Printable makes a line of a template or a message safe to print on a
// terminal, and no longer than most characters.
func Printable(line string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range line {
		if n == most {
			b.WriteRune('…')
			break
		}
		n++
		switch {
		case r == '\t':
			b.WriteRune(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteRune('·')
		}
	}
	return b.String()
}
