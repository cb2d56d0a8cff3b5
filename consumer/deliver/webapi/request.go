package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// Data is what the templates of a request are over.
type Data struct {
	To, Subject, Text, HTML string
	Body                    string // JSON, of push messages and webhooks
	Channel                 topology.Channel
	Language                string
	JobID                   topology.JobID
	EventID                 topology.EventID
	Type                    string
	Template                topology.TemplateRef
	Lane                    topology.Lane
	Attempt                 int
}

func dataOf(job *topology.Job, m *message.Message) *Data {
	return &Data{
		To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Body: string(m.Body),
		Channel: m.Channel, Language: m.Language,
		JobID: job.JobID, EventID: job.EventID, Type: job.Type, Template: job.Template, Lane: job.Lane, Attempt: job.Attempt,
	}
}

// requestTemplates make requests.
type requestTemplates struct {
	method  string
	url     *template.Template // nil where the message names its target
	origin  string             // scheme and host of url
	hosts   []string
	headers map[string]*template.Template
	body    *template.Template // nil for the message's own
}

var functions = template.FuncMap{"json": func(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), err
}}

func compile(c *Config) (*requestTemplates, error) {
	t := &requestTemplates{method: c.Method, hosts: c.Hosts, headers: make(map[string]*template.Template)}
	var err error
	if c.URL != "" {
		if t.origin, err = originOf(c.URL); err != nil {
			return nil, err
		}
		if t.url, err = parse("url", c.URL); err != nil {
			return nil, err
		}
	}
	for name, text := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("header %q: that is no name of a header", name)
		}
		if t.headers[name], err = parse("header "+name, text); err != nil {
			return nil, err
		}
	}
	if c.Body != "" {
		t.body, err = parse("body", c.Body)
	}
	return t, err
}

// parse compiles a template, and tries it, so that a field that is not there is
// found now and not by the first message.
func parse(name, text string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(text)
	if err == nil {
		err = t.Execute(new(bytes.Buffer), new(Data))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

var errOrigin = errors.New("url: must begin with https://HOST/ or http://HOST/, and nothing before the path may be a template")

// originOf is the part of a URL that no template may touch.
func originOf(text string) (string, error) {
	literal, _, _ := strings.Cut(text, "{{")
	u, err := url.Parse(literal)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		u.Path == "" && len(literal) != len(text) {
		return "", errOrigin
	}
	return u.Scheme + "://" + u.Host, nil
}

var (
	errTarget  = errors.New("the template's target is no http or https URL")
	errHost    = errors.New("the template's target is on a host that the provider's hosts do not name")
	errRequest = errors.New("the provider's request cannot be made of this message")
)

// make makes the request for a message. Its errors have nothing of the message.
func (t *requestTemplates) make(ctx context.Context, data *Data, target string) (*http.Request, []byte, error) {
	to, err := t.target(data, target)
	if err != nil {
		return nil, nil, err
	}
	body := []byte(data.Body)
	if t.body != nil {
		var text bytes.Buffer
		if err := t.body.Execute(&text, data); err != nil {
			return nil, nil, errRequest
		}
		body = text.Bytes()
	}
	r, err := http.NewRequestWithContext(ctx, t.method, to, bytes.NewReader(body))
	if err != nil {
		return nil, nil, errRequest
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "meddela")
	for name, header := range t.headers {
		var value strings.Builder
		if err := header.Execute(&value, data); err != nil || !httpguts.ValidHeaderFieldValue(value.String()) {
			return nil, nil, errRequest
		}
		r.Header.Set(name, value.String())
	}
	return r, body, nil
}

// target is where the request goes.
func (t *requestTemplates) target(data *Data, own string) (string, error) {
	if t.url == nil {
		u, err := url.Parse(own)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "", errTarget
		}
		if len(t.hosts) > 0 && !slices.Contains(t.hosts, u.Hostname()) {
			return "", errHost
		}
		return own, nil
	}
	var text strings.Builder
	if err := t.url.Execute(&text, data); err != nil {
		return "", errRequest
	}
	u, err := url.Parse(text.String())
	if err != nil || u.Scheme+"://"+u.Host != t.origin || u.User != nil {
		return "", errRequest
	}
	return text.String(), nil
}
