package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"strings"
	texttemplate "text/template"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Data is what templates are over: a message, and where it comes from.
type Data struct {
	template.Message
	Body JSON // instead of the message's bytes

	JobID    topology.JobID
	EventID  topology.EventID
	Type     string
	Template topology.TemplateRef
	Lane     topology.Lane
	Attempt  int

	ref   func() string
	token outbound.Secret
}

// Ref is the message's reference, of letters and digits, which the provider gives back
// in its receipts; empty where none are configured.
func (d *Data) Ref() string {
	if d.ref == nil {
		return ""
	}
	return d.ref()
}

// Token is the secret by which the provider's receipts are known, for the provider to
// give back; empty where their scheme is another.
func (d *Data) Token() string {
	if d.token == nil {
		return ""
	}
	return d.token()
}

// GSM7 reports whether a text message can be sent in the alphabet of GSM 03.38, for providers that
// do not find out themselves. Any other takes UCS-2.
func (d *Data) GSM7() bool { return template.MeasureSMS(d.Text).Culprit == "" }

// JSON is a text that is valid JSON, or empty. It is written as it is.
type JSON string

// MarshalJSON implements json.Marshaler.
func (j JSON) MarshalJSON() ([]byte, error) {
	if j == "" {
		return []byte("null"), nil
	}
	return []byte(j), nil
}

func dataOf(job *topology.Job, m *template.Message) Data {
	return Data{
		Message: *m, Body: JSON(m.Body), JobID: job.JobID, EventID: job.EventID, Type: job.Type,
		Template: job.Template, Lane: job.Lane, Attempt: job.Attempt,
	}
}

// sample is data whose every text is s.
func sample(s string) *Data {
	message := template.Message{
		To: s, Subject: s, Text: s, HTML: s, Unsubscribe: template.Unsubscribe{URL: s, Mailto: s},
		Attachments: []template.Attachment{{Name: s, URL: s}, {Name: s, URL: s}},
		Channel:     topology.Channel(s), Language: s,
	}
	return &Data{
		Message: message, Body: `{"a":1}`, JobID: topology.JobID(s), EventID: topology.EventID(s), Type: s,
		Template: topology.TemplateRef(s), Lane: topology.Lane(s), Attempt: 1,
	}
}

var functions = texttemplate.FuncMap{"json": toJSON, escaper: escape}

// toJSON leaves <, > and & as they are: bodies are not part of any page.
func toJSON(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'})), nil
}

// compile reads a template over Data.
func compile(name, text string) (*texttemplate.Template, error) {
	return texttemplate.New(name).Option("missingkey=error").Funcs(functions).Parse(text)
}

// headers makes the headers that configuration names.
type headers struct {
	fixed http.Header
	made  map[string]*texttemplate.Template // by canonical name
}

func newHeaders(c *Config) (*headers, error) {
	h := &headers{
		fixed: http.Header{"User-Agent": {"meddela"}},
		made:  map[string]*texttemplate.Template{},
	}
	if c.Method != http.MethodGet {
		h.fixed[contentType] = []string{jsonType}
	}
	for name, text := range c.Headers {
		canonical, made := textproto.CanonicalMIMEHeaderKey(name), strings.Contains(text, "{{")
		var err error
		switch {
		case made && canonical == contentType:
			err = errors.New("must be literal")
		case made:
			if h.made[canonical], err = compile("header", text); err == nil {
				err = h.made[canonical].Execute(io.Discard, sample("a"))
			}
		case !httpguts.ValidHeaderFieldValue(text):
			err = errors.New("the value has control characters")
		default:
			h.fixed[canonical] = []string{text}
		}
		if err != nil {
			return nil, fmt.Errorf("headers: %s: %w", name, err)
		}
	}
	return h, nil
}

// make returns the headers for a message, with room for more.
func (h *headers) make(data *Data) (http.Header, error) {
	all := make(http.Header, len(h.fixed)+len(h.made)+3)
	maps.Copy(all, h.fixed)
	for name, t := range h.made {
		var value strings.Builder
		if err := t.Execute(&value, data); err != nil || !httpguts.ValidHeaderFieldValue(value.String()) {
			return nil, fmt.Errorf("the request's header %s cannot be made of this message", name)
		}
		all[name] = []string{value.String()}
	}
	return all, nil
}
