package config

import (
	"fmt"
	"io"
	"strings"
)

// Secret is a text that no log, table, error or dump shows.
type Secret string

const Mask = "***"

// Reveal returns the text itself, for the client library that needs it.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret; an empty one is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Mask
}

// Format masks the secret for every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText masks the secret in JSON and every other encoding of text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// List is several texts, written with commas between them.
type List []string

// UnmarshalText reads a list; blanks around its members do not count.
func (l *List) UnmarshalText(text []byte) error {
	*l = nil
	for member := range strings.SplitSeq(string(text), ",") {
		if member = strings.TrimSpace(member); member != "" {
			*l = append(*l, member)
		}
	}
	return nil
}

func (l List) String() string { return strings.Join(l, ",") }
