package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"text/template"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// body makes bodies of messages.
type body struct {
	own      *template.Template // nil for the default of the channel
	kind     string             // media type
	attaches bool               // it has the message's attachments
}

var (
	errBody        = errors.New("the request's body cannot be made of this message")
	errNoBody      = errors.New("the request's body would be empty")
	errAttachments = errors.New("the message has attachments, and the provider's body has no place for them")
)

// hostile is a text that breaks what does not escape it.
const hostile = "a\"b\\c\n<d>&e=f"

func newBody(text, kind string) (*body, error) {
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return nil, errors.New("the content type is none")
	}
	b := &body{kind: media}
	if text == "" {
		if !b.isJSON() {
			return nil, errors.New("it is needed with a content type that is not JSON")
		}
		return b, nil
	}
	if b.own, err = compile("body", text); err != nil {
		return nil, err
	}
	for _, one := range b.own.Templates() {
		b.attaches = b.attaches || strings.Contains(one.Tree.Root.String(), ".Attachments")
	}
	return b, b.try()
}

func (b *body) isJSON() bool {
	return b.kind == jsonType || strings.HasSuffix(b.kind, "+json")
}

// try makes a body of plain texts and one of hostile texts.
func (b *body) try() error {
	var fields [2]int
	for i, text := range []string{"a", hostile} {
		var out bytes.Buffer
		if err := b.own.Execute(&out, sample(text)); err != nil {
			return err
		}
		switch {
		case b.isJSON() && !json.Valid(out.Bytes()):
			return errors.New(
				"is not valid JSON with every text: write values as {{json .Text}}, without quotes around them")
		case b.kind == formType:
			form, err := url.ParseQuery(out.String())
			if err != nil {
				return fmt.Errorf("is no form with every text: write values as {{%s .Text}}", escaper)
			}
			fields[i] = len(form)
		}
	}
	if fields[0] != fields[1] {
		return fmt.Errorf("is another form with other texts: write values as {{%s .Text}}", escaper)
	}
	return nil
}

// make returns the body for a message. Its errors have nothing of the message.
func (b *body) make(data *Data) ([]byte, error) {
	if b.own == nil {
		return defaultBody(data)
	}
	if len(data.Attachments) > 0 && !b.attaches {
		return nil, errAttachments
	}
	var out bytes.Buffer
	out.Grow(len(data.Text) + len(data.HTML) + len(data.Body) + 512)
	if err := b.own.Execute(&out, data); err != nil {
		return nil, errBody
	}
	switch {
	case len(bytes.TrimSpace(out.Bytes())) == 0:
		return nil, errNoBody
	case b.isJSON() && !gjson.ValidBytes(out.Bytes()):
		return nil, errBody
	}
	return out.Bytes(), nil
}

// defaultMessage is the body of what has no JSON of its own.
type defaultMessage struct {
	ID      topology.JobID `json:"id"`
	To      string         `json:"to"`
	Subject string         `json:"subject,omitempty"`
	Text    string         `json:"text,omitempty"`
	HTML    string         `json:"html,omitempty"`
}

type defaultPush struct {
	ID      topology.JobID `json:"id"`
	To      string         `json:"to"`
	Message JSON           `json:"message"`
}

func defaultBody(data *Data) ([]byte, error) {
	var value any
	switch data.Channel {
	case topology.Webhook:
		if data.Body == "" {
			return nil, errNoBody
		}
		return []byte(data.Body), nil
	case topology.Push:
		value = defaultPush{data.JobID, data.To, data.Body}
	case topology.SMS:
		value = defaultMessage{ID: data.JobID, To: data.To, Text: data.Text}
	case topology.Email:
		if len(data.Attachments) > 0 {
			return nil, errAttachments
		}
		value = defaultMessage{data.JobID, data.To, data.Subject, data.Text, data.HTML}
	default:
		return nil, errors.New("the provider's body is for other channels")
	}
	text, err := toJSON(value)
	if err != nil {
		return nil, errBody
	}
	return []byte(text), nil
}
