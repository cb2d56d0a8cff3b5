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
	farLanguage             // zh for zh-TW, da for nb
	// DefaultDistance is how far the default language is from every other.
	DefaultDistance
)

// understood are the languages whose readers understand others, in their order: by CLDR those at a distance below
// 10, and what is written as the macrolanguage that has it. Where CLDR only says what else people of a country may
// have learnt (ru for be, en for cy), a template's default is as good.
var understood = func() map[string]string {
	of := map[string]string{
		"no": "nn da", "nn": "no", "da": "no", "bs": "hr sr", "hr": "bs sr", "sr": "hr bs", "gsw": "de", "lb": "de",
	}
	for macro, members := range map[string]string{
		"zh": "cdo cjy cpx gan hak hsn nan wuu yue", "ar": "acm acw aeb afb ajp apc apd arq ars ary arz",
	} {
		for member := range strings.FieldsSeq(members) {
			of[member] = macro
		}
	}
	return of
}()

// NewLanguages makes Languages of names.
func NewLanguages(names []string, fallback string) Languages {
	l := Languages{Names: slices.Sorted(slices.Values(names)), Default: fallback}
	l.near = &nearness{bodies: sync.OnceValue(l.byLanguage)}
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

// byLanguage are those names that CLDR knows, the default before others.
func (l Languages) byLanguage() map[string]*bodies {
	all := make(map[string]*bodies)
	for _, name := range append([]string{l.Default}, l.Names...) {
		tag, _ := language.Parse(name)
		of := languageOf(tag)
		if tag == language.Und || all[of] != nil && slices.Contains(all[of].names, name) {
			continue
		} else if all[of] == nil {
			all[of] = new(bodies)
		}
		all[of].tags, all[of].names = append(all[of].tags, tag), append(all[of].names, name)
	}
	for _, b := range all {
		b.matcher = language.NewMatcher(b.tags)
	}
	return all
}

// languageOf is the language of a tag, without script and region: that of nb is no.
func languageOf(tag language.Tag) string {
	tag, _ = language.All.Canonicalize(tag)
	base, _ := tag.Base()
	return base.String()
}

// bodies are those of one language, which differ in script and region.
type bodies struct {
	tags    []language.Tag
	names   []string
	matcher language.Matcher
}

func (b *bodies) nearest(tag language.Tag) bodyFor {
	if b == nil {
		return bodyFor{distance: DefaultDistance}
	}
	_, i, confidence := b.matcher.Match(tag)
	return bodyFor{b.names[i], map[language.Confidence]int{language.Exact: sameLanguage, language.High: nearLanguage,
		language.Low: farLanguage, language.No: DefaultDistance}[confidence]}
}

// nearness is what Languages remember of what events wanted.
type nearness struct {
	bodies func() map[string]*bodies // by their languages
	known  sync.Map                  // of bodyFor, by what was wanted
	size   atomic.Int32
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
	found := nearestOf(n.bodies(), parseWanted(wanted))
	if n.size.Add(1) > mostWanted {
		n.known.Clear()
		n.size.Store(0)
	}
	n.known.Store(strings.Clone(wanted), found)
	return found
}

// nearestOf is the body for the first of the tags that has one in its language, else in one
// that is understood.
func nearestOf(all map[string]*bodies, tags []language.Tag) bodyFor {
	found := bodyFor{distance: DefaultDistance}
	for _, tag := range tags {
		if b := all[languageOf(tag)].nearest(tag); b.distance < found.distance {
			if found = b; found.distance <= nearLanguage {
				return found
			}
		}
	}
	for _, tag := range tags {
		for other := range strings.FieldsSeq(understood[languageOf(tag)]) {
			script, _ := tag.Script()
			region, _ := tag.Region()
			read, _ := language.Compose(language.Make(other), script, region)
			if b := all[other].nearest(read); b.distance <= nearLanguage && found.distance > farLanguage {
				found = bodyFor{b.name, farLanguage}
			}
		}
	}
	return found
}

// parseWanted reads a tag, what a browser wants, or a locale of POSIX such as sv_SE.UTF-8@euro; there
// are none in what is nothing of these.
func parseWanted(wanted string) []language.Tag {
	if len(wanted) > topology.MaxLanguageLength {
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(wanted)
	if err != nil {
		locale := wanted[:strings.IndexAny(wanted+".", ".@")]
		tag, _ := language.Parse(locale) // with what it knows of it
		tags = []language.Tag{tag}
	}
	return slices.DeleteFunc(tags, func(t language.Tag) bool {
		_, sure := t.Base()
		return sure < language.High // und, or such as x-shop
	})
}

// IsLanguage reports whether there is a language in what an event wants.
func IsLanguage(wanted string) bool { return len(parseWanted(wanted)) > 0 }

// maxTag is the greatest length of a body's language tag.
const maxTag = 35

// validLanguage is the form of a language tag.
var validLanguage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$`)
