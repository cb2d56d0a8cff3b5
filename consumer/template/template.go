// Package template turns an event into the text of a message, by one version of
// a template.
//
// A template is compiled once and rendered by many goroutines. What an event
// lacks is an error that names the path, never an empty string; HTML and JSON
// are escaped by where a value stands; and whatever a template or an event
// holds, a rendering ends soon and is of bounded size.
//
// A source goes one way: parse.go reads it and what it includes, check.go looks
// at what it calls, build.go makes steps of it, in HTML of what html/template has
// escaped (escape.go), and render.go executes them on the event (value.go).
package template

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// Message is what is to be sent to one recipient.
type Message struct {
	Channel topology.Channel
	// To is the event's address on the channel, or the template's URL on
	// channel webhook. Empty when the event has none.
	To          string
	Subject     string // of an e-mail: one line, without control characters
	Text        string // of an e-mail or an SMS; an e-mail may have none
	HTML        string // of an e-mail, which may have none
	Body        []byte // of a push message or a webhook, valid JSON
	Unsubscribe Unsubscribe
	Attachments []Attachment
	Language    string // of the body that was rendered
}

// Unsubscribe is what an e-mail's List-Unsubscribe header offers (RFC 2369).
type Unsubscribe struct {
	URL    string // https, and ends it by one POST (RFC 8058); empty for none
	Mailto string // a plain address that a message ends it at; empty for none
}

// Attachment is a file that is fetched when its message is sent.
type Attachment struct {
	Name string // that the recipient sees, without control characters or slashes
	// URL to fetch it from. Its host is not to be trusted: event data may have
	// a part in it.
	URL string
}

// Template is one compiled version of a template. It must not be changed, and is
// safe for use by several goroutines.
type Template struct {
	Ref       topology.TemplateRef
	Channel   topology.Channel  // the one that it is for
	Languages Languages         // of its bodies
	Partials  map[string]string // that these include
	url       string
	maxParts  int // of an SMS; 0 for any number
	bodies    map[string][]*part
}

// Render makes the message for an event. The body is the one whose language
// is the nearest. The error is an *Error.
func (t *Template) Render(ev *topology.Event, language string) (m Message, err error) {
	m = Message{Channel: t.Channel, To: ev.To}
	if t.Channel == topology.Webhook {
		m.To = t.url
	}
	m.Language, _ = t.Languages.Nearest(language)
	turns <- struct{}{}
	r, name := renderings.Get().(*rendering), ""
	defer r.release()
	defer func() {
		if refused := recover(); refused != nil {
			e := failure(name, r.at, refused)
			e.Template, e.Language = t.Ref, m.Language
			m, err = Message{}, e
		}
	}()
	r.root, r.deadline = newRoot(ev, cleanerOf(t.Channel)), time.Now().Add(maxTime)
	for _, p := range t.bodies[m.Language] {
		name = p.name
		p.render(r)
		m.set(name, string(r.out))
	}
	if t.maxParts > 0 {
		parts := MeasureSMS(m.Text).Parts
		refuse(parts > t.maxParts, misuse(fmt.Sprintf("the text takes %d parts, and max_parts is %d", parts, t.maxParts)))
	}
	return m, nil
}

func (m *Message) set(part, text string) {
	switch part {
	case EmailSubject:
		m.Subject = text
	case EmailText:
		m.Text = text
	case SMSText:
		m.Text = strings.TrimSpace(text)
	case EmailHTML:
		m.HTML = text
	case PushJSON, WebhookJSON:
		m.Body = []byte(strings.TrimSpace(text))
	case EmailUnsubscribe:
		m.setUnsubscribe(text)
	case EmailAttachments:
		m.setAttachments(text)
	}
}

const (
	errUnsubscribe = misuse("each line must be an https URL or an address such as stop@example.com, one of each " +
		"at most")
	errAttachment = misuse("each line must be an https URL, a blank, and the file's name without slashes")
)

// setUnsubscribe reads the lines of the part.
func (m *Message) setUnsubscribe(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case isHTTPS(line) && m.Unsubscribe.URL == "":
			m.Unsubscribe.URL = line
		case !strings.Contains(line, ":") && strings.Count(line, "@") == 1 && !strings.Contains(line, " ") &&
			m.Unsubscribe.Mailto == "":
			m.Unsubscribe.Mailto = line
		default:
			panic(errUnsubscribe)
		}
	}
}

// Lines are the ways as the part has them.
func (u Unsubscribe) Lines() string { return strings.TrimSpace(u.URL + "\n" + u.Mailto) }

// AttachmentLines are files as their part has them.
func AttachmentLines(files []Attachment) string {
	lines := make([]string, len(files))
	for i, f := range files {
		lines[i] = f.URL + " " + f.Name
	}
	return strings.Join(lines, "\n")
}

func (m *Message) setAttachments(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		link, name, _ := strings.Cut(line, " ")
		name = strings.TrimSpace(name)
		refuse(!isHTTPS(link) || name == "" || len(name) > 200 || strings.ContainsAny(name, "/\\") ||
			strings.HasPrefix(name, "."), errAttachment)
		m.Attachments = append(m.Attachments, Attachment{Name: name, URL: link})
	}
}

func isSlash(r rune) bool { return r == '/' || r == '\\' }

// isHTTPS reports whether the text is a link by https that leads where it says.
func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	leadsOut := func(segment string) bool { return segment == "." || segment == ".." }
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil &&
		!slices.ContainsFunc(strings.FieldsFunc(u.Path, isSlash), leadsOut)
}
