package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"text/template"

	"github.com/meddela/meddela/topology"
)

// body makes bodies of messages.
type body struct {
	text     *template.Template
	kind     string // media type
	attaches bool   // it has the message's attachments
}

// defaultBody is that of messages where the configuration has none.
const defaultBody = `{{if eq .Channel "webhook"}}{{.Body}}{{else}}{"id":{{json .JobID}},"to":{{json .To}}` +
	`{{with .Subject}},"subject":{{json .}}{{end}}{{with .Text}},"text":{{json .}}{{end}}` +
	`{{with .HTML}},"html":{{json .}}{{end}}{{if eq .Channel "push"}},"message":{{json .Body}}{{end}}}{{end}}`

var errBody = errors.New("the request's body cannot be made of this message")

// hostile is a text that breaks what does not escape it.
const hostile = "a\"b\\c\n<d>&e=f"

func newBody(text, kind string) (*body, error) {
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return nil, errors.New("the content type is none")
	}
	b := &body{kind: media}
	if text == "" && !b.isJSON() {
		return nil, errors.New("it is needed with a content type that is not JSON")
	}
	if b.text, err = compile("body", cmp.Or(text, defaultBody)); err != nil {
		return nil, err
	}
	for _, one := range b.text.Templates() {
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
		if err := b.text.Execute(&out, sample(text)); err != nil {
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
	if len(data.Attachments) > 0 && !b.attaches {
		return nil, errors.New("the message has attachments, and the provider's body has no place for them")
	}
	var out bytes.Buffer
	out.Grow(len(data.Text) + len(data.HTML) + len(data.Body) + 512)
	if err := b.text.Execute(&out, data); err != nil {
		return nil, errBody
	}
	switch {
	case len(bytes.TrimSpace(out.Bytes())) == 0:
		return nil, errors.New("the request's body would be empty")
	case b.isJSON() && topology.CheckJSON(out.Bytes()) != nil:
		return nil, errBody
	}
	return out.Bytes(), nil
}
