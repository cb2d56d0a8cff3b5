package explain

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Language is how the body's language was found.
type Language struct {
	Wanted string `json:"wanted"`
	Chain  []Link `json:"chain"`
	Used   string `json:"used"`
}

// Link is a language that was looked for.
type Link struct {
	Language string `json:"language"`
	Default  bool   `json:"default,omitempty"` // for everyone else
	Found    bool   `json:"found"`
}

// languageOf lists what was wanted and, where that is not there, the nearest or the default.
func languageOf(wanted string, languages template.Languages, used string) *Language {
	l := &Language{Wanted: wanted, Chain: []Link{}, Used: used}
	_, distance := languages.Nearest(wanted)
	if wanted != "" {
		l.Chain = append(l.Chain, Link{Language: wanted, Found: distance == 0})
	}
	if distance > 0 {
		l.Chain = append(l.Chain, Link{Language: used, Default: distance == template.DefaultDistance, Found: true})
	}
	return l
}

// Message is the message that is due, or why it cannot be rendered.
type Message struct {
	Masked    bool         `json:"masked"`
	To        string       `json:"to"`
	Subject   string       `json:"subject,omitempty"`
	Parts     []Part       `json:"parts"`
	NoAddress bool         `json:"no_address,omitempty"` // delivery would ignore it
	Error     *RenderError `json:"error,omitempty"`
}

// Part is a part of a message.
type Part struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Text  string `json:"text,omitempty"` // only when it was asked for
}

// RenderError is why delivery would make the event a delivery error.
type RenderError struct {
	*template.Error
	Where string `json:"where"` // in the template's folder, with the line
}

func messageOf(entry *catalogue.Entry, event *topology.Event, language string, show bool) *Message {
	m, err := entry.Template().Render(event, language)
	if failure, failed := errors.AsType[*template.Error](err); failed {
		where := authoring.Where(entry.Record().Name, entry.Record().Channel, failure)
		return &Message{Parts: []Part{}, Error: &RenderError{failure, where}}
	}
	shown := &Message{
		Masked: !show, To: maskedAddress(m.To, show), Subject: maskedText(m.Subject, show),
		Parts: []Part{}, NoAddress: m.To == "",
	}
	for _, p := range authoring.Parts(&m) {
		part := Part{Name: p.Name, Bytes: len(p.Text)}
		if show {
			part.Text = p.Text
		}
		shown.Parts = append(shown.Parts, part)
	}
	return shown
}

// maskedAddress lets an address be recognized by those who know it.
func maskedAddress(address string, show bool) string {
	if show || address == "" {
		return address
	}
	if at := strings.LastIndexByte(address, '@'); at > 0 && at+1 < len(address) {
		return first(address) + "…@" + first(address[at+1:]) + "…"
	}
	return maskedText(address, false)
}

func first(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// maskedText says only how long a text is.
func maskedText(s string, show bool) string {
	if show || s == "" {
		return s
	}
	return fmt.Sprintf("(%d characters)", utf8.RuneCountInString(s))
}
