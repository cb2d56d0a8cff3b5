package message

import (
	"slices"
	"strings"
)

// Languages are the languages of a template's bodies, found by language tag.
// Case does not matter, and an underscore is as good as a hyphen.
type Languages struct {
	names    []string          // as the template writes them, sorted
	byTag    map[string]string // canonical tag to name
	fallback string            // empty when there is no default
}

// MaxLanguageBytes is the greatest length of a language tag that is looked at.
const MaxLanguageBytes = 35 // what RFC 5646 recommends for buffers

// NewLanguages makes Languages. An empty fallback means that there is no
// default language.
func NewLanguages(names []string, fallback string) Languages {
	l := Languages{names: slices.Sorted(slices.Values(names)), byTag: make(map[string]string, len(names)), fallback: fallback}
	var b [MaxLanguageBytes]byte
	for _, name := range l.names {
		l.byTag[string(canonical(b[:0], name))] = name
	}
	return l
}

// Names lists the languages, sorted. It must not be changed.
func (l Languages) Names() []string { return l.names }

// Default is the language for everyone else; empty when there is none.
func (l Languages) Default() string { return l.fallback }

// First returns the language of the first tag that there is a body for: a tag
// also finds the body of a shorter form of it, so "sv-FI" finds "sv". The
// default language is not considered.
func (l Languages) First(tags ...string) (string, bool) {
	for _, tag := range tags {
		if name, ok := l.find(tag); ok {
			return name, true
		}
	}
	return "", false
}

// Resolve is First of one tag, or else the default language.
func (l Languages) Resolve(tag string) (string, bool) {
	if name, ok := l.find(tag); ok {
		return name, true
	}
	return l.fallback, l.fallback != ""
}

func (l Languages) find(tag string) (string, bool) {
	if len(tag) > MaxLanguageBytes {
		return "", false
	}
	var b [MaxLanguageBytes]byte
	t := canonical(b[:0], tag)
	for len(t) > 0 {
		if name, ok := l.byTag[string(t)]; ok {
			return name, true
		}
		t = t[:max(strings.LastIndexByte(string(t), '-'), 0)]
	}
	return "", false
}

// canonical appends the tag in the form that tags are compared in.
func canonical(b []byte, tag string) []byte {
	for i := 0; i < len(tag); i++ {
		switch c := tag[i]; {
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c == '_':
			b = append(b, '-')
		default:
			b = append(b, c)
		}
	}
	return b
}

// validLanguage tells whether a name has the form of a language tag.
func validLanguage(name string) bool {
	if len(name) < 2 || len(name) > MaxLanguageBytes || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if digit := '0' <= c && c <= '9'; !letter && !digit && c != '-' {
			return false
		}
	}
	return true
}
