package template

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"

	"github.com/meddela/meddela/topology"
)

// Languages are the languages of a template's bodies, found by what an event wants.
type Languages struct {
	Names   []string // as the template writes them, sorted; not to be changed
	Default string   // for everyone else
	near    *nearness
}

// How far a body's language is from the one that is wanted, by the distances of CLDR. Nearest
// says 0 where they are written alike.
const (
	sameLanguage = 1 + iota // no for nb-NO
	nearLanguage            // en-GB for en-AU
	farLanguage             // zh for zh-TW
	// DefaultDistance is how far the default language is from every other.
	DefaultDistance
)

// NewLanguages makes Languages of names.
func NewLanguages(names []string, fallback string) Languages {
	l := Languages{Names: slices.Sorted(slices.Values(names)), Default: fallback}
	l.near = &nearness{matcher: sync.OnceValues(l.matcher)}
	return l
}

// Nearest returns the language to use for a wanted one, and how far it is from that:
// DefaultDistance for the default. Wanted is a tag, or what a browser wants in its
// Accept-Language header. Case does not matter, and an underscore is as good as a hyphen.
func (l Languages) Nearest(wanted string) (name string, distance int) {
	tag := strings.ReplaceAll(wanted, "_", "-")
	for _, name := range l.Names {
		if strings.EqualFold(name, tag) {
			return name, 0
		}
	}
	if wanted == "" {
		return l.Default, DefaultDistance
	}
	found := l.near.find(wanted)
	if found.distance == DefaultDistance {
		return l.Default, DefaultDistance
	}
	return found.name, found.distance
}

// matcher finds the nearest of those names that CLDR knows, the default before others that
// are as near.
func (l Languages) matcher() (matcher language.Matcher, names []string) {
	var tags []language.Tag
	for _, name := range append([]string{l.Default}, l.Names...) {
		if tag, _ := language.Parse(name); tag != language.Und {
			tags, names = append(tags, tag), append(names, name)
		}
	}
	return language.NewMatcher(tags), names
}

// nearness is what Languages remember of what events wanted.
type nearness struct {
	matcher func() (language.Matcher, []string)
	known   sync.Map // of bodyFor, by what was wanted
	size    atomic.Int32
}

type bodyFor struct {
	name     string
	distance int
}

// mostWanted is how many wishes are remembered: real ones are few.
const mostWanted = 256

func (n *nearness) find(wanted string) bodyFor {
	if known, ok := n.known.Load(wanted); ok {
		return known.(bodyFor)
	}
	matcher, names := n.matcher()
	found := bodyFor{distance: DefaultDistance}
	if tags := parseWanted(wanted); len(tags) > 0 && len(names) > 0 {
		_, i, confidence := matcher.Match(tags...)
		found = bodyFor{names[i], map[language.Confidence]int{language.Exact: sameLanguage, language.High: nearLanguage,
			language.Low: farLanguage, language.No: DefaultDistance}[confidence]}
	}
	if n.size.Add(1) > mostWanted {
		n.known.Clear()
		n.size.Store(0)
	}
	n.known.Store(strings.Clone(wanted), found)
	return found
}

// parseWanted reads a tag, what a browser wants, or a locale of POSIX such as sv_SE.UTF-8; there
// are none in what is nothing of these.
func parseWanted(wanted string) []language.Tag {
	if len(wanted) > topology.MaxLanguageLength {
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(wanted)
	if err != nil {
		locale, _, _ := strings.Cut(wanted, ".")
		tag, _ := language.Parse(locale) // with what it knows of it
		tags = []language.Tag{tag}
	}
	return slices.DeleteFunc(tags, func(t language.Tag) bool { return t == language.Und })
}

// IsLanguage reports whether there is a language in what an event wants.
func IsLanguage(wanted string) bool { return len(parseWanted(wanted)) > 0 }

// maxTag is the greatest length of a body's language tag.
const maxTag = 35

// validLanguage is the form of a language tag.
var validLanguage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$`)
