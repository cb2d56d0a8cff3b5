// Package wording has the small words of messages for people.
package wording

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Printable keeps what upstream wrote from steering the terminal.
func Printable(s string) string { return printable(s, "") }

// PrintableLines is Printable, but for the ends of lines and tabs.
func PrintableLines(s string) string { return printable(s, "\n\t") }

func printable(s, kept string) string {
	return strings.Map(func(r rune) rune {
		// A control, or what turns the direction of what follows.
		if (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) && !strings.ContainsRune(kept, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Abridged is the beginning of a text, of at most 80 characters.
func Abridged(s string) string { return Shortened(s, 80) }

// OrList joins at least one word, the last two by "or".
func OrList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Most is the beginning of a list, at most so many words, and a sign that there are more.
func Most(n int, words []string) []string {
	if len(words) > n {
		return append(words[:n:n], "…")
	}
	return words
}

// Texts are named strings as strings.
func Texts[T ~string](named []T) []string {
	all := make([]string, len(named))
	for i, n := range named {
		all[i] = string(n)
	}
	return all
}

var noughts = regexp.MustCompile(`([hm])(0m)?0s$`)

// Length is a length of time as people write it: 72h, not 72h0m0s.
func Length(d time.Duration) string { return noughts.ReplaceAllString(d.String(), "$1") }

// Moment is a time as tables have it, in UTC like statuses; "-" is none.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Shortened is the beginning of a text, of at most so many characters.
func Shortened(s string, most int) string {
	if characters := []rune(s); len(characters) > most {
		return string(characters[:most]) + "…"
	}
	return s
}

// Count is a number with the word that it takes.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
