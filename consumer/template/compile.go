package template

import (
	"maps"
	"slices"
	"strings"

	"github.com/meddela/meddela/topology"
)

// Compile checks a template record and makes it ready to render. Its error is
// Faults: everything that is wrong, at once.
func Compile(record topology.TemplateRecord) (*Template, error) {
	c := compiler{record: &record}
	t := &Template{
		ref:       record.Ref(),
		channel:   record.Channel,
		url:       record.URL,
		languages: NewLanguages(slices.Collect(maps.Keys(record.Bodies)), record.DefaultLanguage),
		bodies:    make(map[string][]*part, len(record.Bodies)),
	}
	c.checkRecord()
	for _, language := range t.languages.Names() {
		t.bodies[language] = c.body(language)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return t, nil
}

type compiler struct {
	record *topology.TemplateRecord
	faults Faults
	// told are the faults of partials, which several bodies share.
	told map[Fault]bool
}

func (c *compiler) fail(f Fault) {
	if f.Language == "" {
		if c.told[f] {
			return
		}
		if c.told == nil {
			c.told = make(map[Fault]bool)
		}
		c.told[f] = true
	}
	c.faults = append(c.faults, f)
}

// checkRecord checks what is not a body.
func (c *compiler) checkRecord() {
	r := c.record
	check := func(ok bool, detail string) {
		if !ok {
			c.fail(Fault{Detail: detail})
		}
	}
	check(ValidName(r.Name), "the name must be 1 to 100 of a-z 0-9 . _ -, starting with a letter or digit")
	check(r.Version != "" && !strings.Contains(r.Version, "@"), "there is no version, or it has an @")
	check(len(r.Types) > 0 && !slices.Contains(r.Types, ""), "there are no event types: name those that the template covers")
	check(Parts(r.Channel) != nil, "the channel must be email, sms, push or webhook")
	check(len(r.Bodies) > 0, "there are no bodies: add a language")
	check((r.URL != "") == (r.Channel == topology.Webhook), "a url belongs to channel webhook, and to no other")
	check(r.OnAmbiguous == "" || r.OnAmbiguous == topology.ResendAmbiguous || r.OnAmbiguous == topology.HoldAmbiguous, "on_ambiguous must be resend or hold")
	check(r.TTL >= 0, "the ttl must not be negative")
	_, ok := r.Bodies[r.DefaultLanguage]
	check(ok, "there is no body in the default language")
}

// ValidName tells whether a template may have that name.
func ValidName(name string) bool {
	if len(name) == 0 || len(name) > 100 {
		return false
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

func (c *compiler) body(language string) []*part {
	body := c.record.Bodies[language]
	if !validLanguage(language) {
		c.fail(Fault{Language: language, Detail: "is not a language tag such as sv or sv-FI: rename the folder"})
	}
	if lack := incomplete(c.record.Channel, body); lack != "" {
		c.fail(Fault{Language: language, Detail: lack})
	}
	known := Parts(c.record.Channel)
	var parts []*part
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if known != nil && !slices.Contains(known, name) {
			c.fail(Fault{Language: language, Part: name, Detail: "is no part of a message on channel " + string(c.record.Channel) + ", which has " + strings.Join(known, ", ") + ": rename it, or remove it"})
			continue
		}
		if p := c.part(language, name, body[name]); p != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

func (c *compiler) part(language, name, source string) *part {
	set := newTreeSet(language, name, source, c.record.Partials)
	if len(set.faults) == 0 {
		p, fault := newPart(name, set)
		if fault == nil {
			return p
		}
		set.faults = append(set.faults, *fault)
	}
	for _, f := range set.faults {
		if f.Part == name {
			f.Language = language
		}
		c.fail(f)
	}
	return nil
}
