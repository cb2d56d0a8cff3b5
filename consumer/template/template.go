// Package template turns an event into the text of a message, by one version of
// a template.
//
// A template is compiled once and rendered by many goroutines. What an event
// lacks is an error that names the path, never an empty string; HTML and JSON
// are escaped by where a value stands; and whatever a template or an event
// holds, a rendering ends soon and is of bounded size.
//
// A source goes one way: parse.go reads it and what it includes, check.go looks
// at what it calls, rewrite.go puts our own functions where it reads and writes
// values, compile.go makes Go templates of it, and render.go executes them.
package template

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// Message is what is to be sent to one recipient.
type Message struct {
	Channel topology.Channel
	// To is the event's address on the channel, or the template's URL on
	// channel webhook. Empty when the event has none.
	To string
	// Subject of an e-mail: one line, without control characters.
	Subject string
	// Text of an e-mail or an SMS. An e-mail without a text part has none.
	Text string
	// HTML of an e-mail; empty when the template has no such part.
	HTML string
	// Body of a push message or a webhook, valid JSON.
	Body []byte
	// Unsubscribe says how the recipient of an e-mail ends such messages; the
	// zero value says nothing.
	Unsubscribe Unsubscribe
	// Attachments of an e-mail.
	Attachments []Attachment
	// Language of the body that was rendered.
	Language string
}

// Unsubscribe is what an e-mail's List-Unsubscribe header offers (RFC 2369).
type Unsubscribe struct {
	// URL is https, and ends it by one POST (RFC 8058); empty for none.
	URL string
	// Mailto is a plain address that a message ends it at; empty for none.
	Mailto string
}

// Attachment is a file that is fetched when its message is sent.
type Attachment struct {
	// Name of the file that the recipient sees, without control characters or
	// slashes.
	Name string
	// URL to fetch it from. Its host is not to be trusted: event data may have
	// a part in it.
	URL string
}

// Template is one compiled version of a template. It is immutable and safe
// for use by several goroutines.
type Template struct {
	ref       topology.TemplateRef
	channel   topology.Channel
	url       string
	languages Languages
	bodies    map[string][]*part
}

// Ref names the version.
func (t *Template) Ref() topology.TemplateRef { return t.ref }

// Channel is the one channel that the template is for.
func (t *Template) Channel() topology.Channel { return t.channel }

// Languages are those that the template has bodies in.
func (t *Template) Languages() Languages { return t.languages }

// Render makes the message for an event. The body is the one in that language
// or, where the template has none, in a shorter form of its tag (sv for
// sv-FI), or else in the template's default language. The error is an *Error.
func (t *Template) Render(ev *topology.Event, language string) (Message, error) {
	m := Message{Channel: t.channel, To: ev.To}
	if t.channel == topology.Webhook {
		m.To = t.url
	}
	m.Language, _ = t.languages.Nearest(language)
	data, err := newData(ev, cleanerOf(t.channel))
	if err != nil {
		return Message{}, &Error{Reason: topology.ReasonRenderFailed, Template: t.ref, Language: m.Language,
			Detail: err.Error()}
	}
	if err := t.renderParts(&m, data); err != nil {
		return Message{}, err
	}
	return m, nil
}

func (t *Template) renderParts(m *Message, data *data) error {
	buffer := buffers.Get().(*bytes.Buffer)
	defer release(buffer)
	deadline := time.Now().Add(maxTime)
	for _, p := range t.bodies[m.Language] {
		buffer.Reset()
		if err := p.render(buffer, data, deadline); err != nil {
			err.Template, err.Language = t.ref, m.Language
			return err
		}
		if err := m.set(p.name, buffer); err != nil {
			return &Error{Reason: topology.ReasonRenderFailed, Template: t.ref, Language: m.Language, Part: p.name,
				Detail: err.Error()}
		}
	}
	return nil
}

func (m *Message) set(part string, b *bytes.Buffer) error {
	switch part {
	case EmailSubject:
		m.Subject = b.String()
	case EmailText:
		m.Text = b.String()
	case SMSText:
		m.Text = strings.TrimSpace(b.String())
	case EmailHTML:
		m.HTML = b.String()
	case PushJSON, WebhookJSON:
		m.Body = bytes.Clone(bytes.TrimSpace(b.Bytes()))
	case EmailUnsubscribe:
		return m.setUnsubscribe(b.String())
	case EmailAttachments:
		return m.setAttachments(b.String())
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// release keeps a buffer for the next rendering, unless one huge message has
// made it huge.
func release(b *bytes.Buffer) {
	if b.Cap() <= 64<<10 {
		buffers.Put(b)
	}
}

var (
	errUnsubscribe = errors.New("each line must be an https URL or an address such as stop@example.com, one of each " +
		"at most")
	errAttachment = errors.New("each line must be an https URL, a blank, and the file's name without slashes")
)

// setUnsubscribe reads the lines of the part. Its errors have nothing of them.
func (m *Message) setUnsubscribe(text string) error {
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
			return errUnsubscribe
		}
	}
	return nil
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

// setAttachments likewise.
func (m *Message) setAttachments(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		link, name, _ := strings.Cut(line, " ")
		name = strings.TrimSpace(name)
		if !isHTTPS(link) || name == "" || len(name) > 200 || strings.ContainsAny(name, "/\\") ||
			strings.HasPrefix(name, ".") {
			return errAttachment
		}
		m.Attachments = append(m.Attachments, Attachment{Name: name, URL: link})
	}
	return nil
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}
