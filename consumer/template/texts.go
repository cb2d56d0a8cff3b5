package template

import (
	"strings"

	"github.com/rivo/uniseg"
)

const (
	errNoLength = misuse("the length of a truncated text is one of 1 to 10000")
	errNoList   = misuse("join was given what is not a list of texts and numbers")
)

const (
	maxTruncated = 10_000
	// maxCluster is the greatest size in bytes of what counts as one
	// character. The longest emoji have under 50; what is longer is a letter
	// buried under marks.
	maxCluster = 256
)

// truncate shortens a text to so many characters as people see them, a mark of
// omission among them. It does not cut within a character.
func (l localized) truncate(n, v any) (string, error) {
	length, ok := toNumber(n)
	if !ok || !length.whole || length.int < 1 || length.int > maxTruncated {
		return "", errNoLength
	}
	s, err := text(v)
	if err != nil {
		return "", err
	}
	mark, width := "…", 1
	if l.sms {
		mark, width = "...", 3
	}
	limit := int(length.int)
	if len(s) <= limit {
		return s, nil
	}
	if limit <= width {
		mark, width = "", 0
	}
	return shorten(s, limit, limit-width, mark), nil
}

// shorten keeps a text of at most limit characters, and of a longer one as many
// as kept, followed by the mark.
func shorten(s string, limit, kept int, mark string) string {
	cut := 0
	rest := s
	for count := 0; rest != ""; count++ {
		if count == kept {
			cut = len(s) - len(rest)
		}
		first, _, _, _ := uniseg.FirstGraphemeClusterInString(rest[:min(len(rest), maxCluster+8)], -1)
		if count == limit || len(first) > maxCluster {
			if count < kept {
				cut = len(s) - len(rest)
			}
			return strings.TrimSpace(s[:cut]) + mark
		}
		rest = rest[len(first):]
	}
	return s
}

// trim removes white space from both ends.
func trim(v any) (string, error) {
	s, err := text(v)
	return strings.TrimSpace(s), err
}

// join writes the elements of a list with a text between them.
func join(separator string, list any) (string, error) {
	elements, ok := list.([]any)
	if !ok {
		return "", errNoList
	}
	var b strings.Builder
	for i, element := range elements {
		s, err := text(element)
		if err != nil {
			return "", errNoList
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
		if b.Len() > MaxPartBytes {
			return "", errTooLarge
		}
	}
	return b.String(), nil
}
