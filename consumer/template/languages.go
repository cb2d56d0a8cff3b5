package template

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/meddela/meddela/topology"
)

// Languages are the languages of a template's bodies, found by language tag.
// Case does not matter, and an underscore is as good as a hyphen.
type Languages struct {
	Names   []string // as the template writes them, sorted; not to be changed
	Default string   // for everyone else
	byTag   map[string]string
}

// DefaultDistance is how far the default language is from every other: further
// than any shorter form of a tag.
const DefaultDistance = topology.MaxLanguageLength

// NewLanguages makes Languages of names.
func NewLanguages(names []string, fallback string) Languages {
	l := Languages{slices.Sorted(slices.Values(names)), fallback, make(map[string]string, len(names))}
	for _, name := range l.Names {
		l.byTag[string(canonical(nil, name))] = name
	}
	return l
}

// Nearest returns the language to use for a wanted tag, and how far that is
// from what was wanted: 0 for the same, one more for each part that the tag is
// shortened by (sv-FI finds sv at 1), DefaultDistance for the default.
func (l Languages) Nearest(tag string) (name string, distance int) {
	if len(tag) > topology.MaxLanguageLength {
		return l.Default, DefaultDistance
	}
	var b [topology.MaxLanguageLength]byte
	for t := canonical(b[:0], tag); len(t) > 0; distance++ {
		if name, ok := l.byTag[string(t)]; ok {
			return name, distance
		}
		t = t[:max(bytes.LastIndexByte(t, '-'), 0)]
	}
	return l.Default, DefaultDistance
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

// validLanguage is the form of a language tag.
var validLanguage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$`)
