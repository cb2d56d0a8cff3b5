package template

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/meddela/meddela/topology"
)

// The parts of a body, by the names that they have in a template record.
const (
	EmailSubject = "email.subject"
	EmailText    = "email.txt"
	EmailHTML    = "email.html"
	// EmailUnsubscribe has a line with an https URL, or one with an address, or
	// both.
	EmailUnsubscribe = "email.unsubscribe"
	// EmailAttachments has a line for each file: its URL, a blank, its name.
	EmailAttachments = "email.attachments"
	SMSText          = "sms.txt"
	PushJSON         = "push.json"
	WebhookJSON      = "webhook.json"
)

var parts = map[topology.Channel][]string{
	topology.Email:   {EmailSubject, EmailText, EmailHTML, EmailUnsubscribe, EmailAttachments},
	topology.SMS:     {SMSText},
	topology.Push:    {PushJSON},
	topology.Webhook: {WebhookJSON},
}

// Parts lists the parts that a body on the channel may have; none for an
// unknown channel. The list must not be changed.
func Parts(c topology.Channel) []string { return parts[c] }

const (
	html     = ".html"
	jsonText = ".json"
)

// syntaxOf is what a part's output is, and therefore how values are escaped:
// html, jsonText, or nothing for plain text.
func syntaxOf(part string) string {
	if ending := path.Ext(part); ending == html || ending == jsonText {
		return ending
	}
	return ""
}

// incomplete says what a body lacks; empty when it is whole.
func incomplete(c topology.Channel, body map[string]string) string {
	needed := Parts(c)
	if c == topology.Email {
		needed = needed[:1]
	}
	for _, part := range needed {
		if _, ok := body[part]; !ok {
			return "there is no " + part + ": add it"
		}
	}
	_, hasText := body[EmailText]
	if _, hasHTML := body[EmailHTML]; c == topology.Email && !hasText && !hasHTML {
		return "there is neither " + EmailText + " nor " + EmailHTML + ": add one or both"
	}
	return ""
}

// Compile checks a template record and makes it ready to render. Its error is
// Faults: everything that is wrong, at once.
func Compile(record topology.TemplateRecord) (*Template, error) {
	c := compiler{record: &record, included: make(map[string]string)}
	t := &Template{
		Ref:       record.Ref(),
		Channel:   record.Channel,
		url:       record.URL,
		maxParts:  record.MaxParts,
		Languages: NewLanguages(slices.Collect(maps.Keys(record.Bodies)), record.DefaultLanguage),
		Partials:  c.included,
		bodies:    make(map[string][]*part, len(record.Bodies)),
	}
	c.checkRecord()
	for _, language := range t.Languages.Names {
		t.bodies[language] = c.body(language)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return t, nil
}

type compiler struct {
	record   *topology.TemplateRecord
	included map[string]string // partials
	faults   Faults
}

func (c *compiler) fail(f Fault) {
	if f.Language == "" && slices.Contains(c.faults, f) {
		return // of a partial, which several bodies share
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
	check(len(r.Types) > 0 && !slices.Contains(r.Types, ""),
		"there are no event types: name those that the template covers")
	check(Parts(r.Channel) != nil, "the channel must be email, sms, push or webhook")
	check(len(r.Bodies) > 0, "there are no bodies: add a language")
	check((r.URL != "") == (r.Channel == topology.Webhook), "a url belongs to channel webhook, and to no other")
	check(r.OnAmbiguous == "" || r.OnAmbiguous == topology.ResendAmbiguous ||
		r.OnAmbiguous == topology.HoldAmbiguous, "on_ambiguous must be resend or hold")
	check(r.MaxParts == 0 || r.MaxParts > 0 && r.Channel == topology.SMS, "max_parts belongs to channel sms: remove it, or make it at least 1")
	check(r.TTL >= 0, "the ttl must not be negative")
	_, ok := r.Bodies[r.DefaultLanguage]
	check(ok, "there is no body in the default language")
}

// ValidName reports whether a template may have that name.
var ValidName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`).MatchString

func (c *compiler) body(language string) []*part {
	body := c.record.Bodies[language]
	if len(language) > maxTag || !validLanguage.MatchString(language) {
		c.fail(Fault{Language: language, Detail: "is not a language tag such as sv or sv-FI: rename the folder"})
	}
	if lack := incomplete(c.record.Channel, body); lack != "" {
		c.fail(Fault{Language: language, Detail: lack})
	}
	known := Parts(c.record.Channel)
	var parts []*part
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if known != nil && !slices.Contains(known, name) {
			c.fail(Fault{Language: language, Part: name, Detail: "is no part of a message on channel " +
				string(c.record.Channel) + ", which has " + strings.Join(known, ", ") + ": rename it, or remove it"})
			continue
		}
		if p := c.part(language, name, body[name]); p != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

func (c *compiler) part(language, name, source string) *part {
	set := newTreeSet(language, name, c.record.Partials)
	set.add(name, source)
	if len(set.faults) == 0 {
		set.checkCycles(name, nil, make(map[string]int))
	}
	if len(set.faults) == 0 && set.syntax == html {
		set.escapeHTML(name)
	}
	if len(set.faults) == 0 {
		for _, from := range set.sources {
			if from.name != name {
				c.included[from.name] = from.text
			}
		}
		return &part{name: name, block: set.block(name), slots: set.slots}
	}
	for _, f := range set.faults {
		if f.Part == name {
			f.Language = language
		}
		c.fail(f)
	}
	return nil
}
