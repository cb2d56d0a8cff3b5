package template

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meddela/meddela/topology"
)

// Languages are the languages of a template's bodies, found by language tag.
// Case does not matter, and an underscore is as good as a hyphen.
type Languages struct {
	Names   []string // as the template writes them, sorted; not to be changed
	Default string   // for everyone else
}

// DefaultDistance is how far the default language is from every other: further
// than any shorter form of a tag.
const DefaultDistance = topology.MaxLanguageLength

// NewLanguages makes Languages of names.
func NewLanguages(names []string, fallback string) Languages {
	return Languages{slices.Sorted(slices.Values(names)), fallback}
}

// Nearest returns the language to use for a wanted tag, and how far that is
// from what was wanted: 0 for the same, one more for each part that the tag is
// shortened by (sv-FI finds sv at 1), DefaultDistance for the default.
func (l Languages) Nearest(tag string) (name string, distance int) {
	if len(tag) > topology.MaxLanguageLength {
		return l.Default, DefaultDistance
	}
	for t := strings.ReplaceAll(tag, "_", "-"); t != ""; distance++ {
		for _, name := range l.Names {
			if strings.EqualFold(name, t) {
				return name, distance
			}
		}
		t = t[:max(strings.LastIndexByte(t, '-'), 0)]
	}
	return l.Default, DefaultDistance
}

// validLanguage is the form of a language tag.
var validLanguage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$`)
