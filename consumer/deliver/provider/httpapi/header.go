package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"text/template"

	"golang.org/x/net/http/httpguts"
)

// headers makes the headers that configuration names.
type headers struct {
	fixed http.Header
	made  map[string]*template.Template // by canonical name
}

func newHeaders(c *Config) (*headers, error) {
	h := &headers{
		fixed: http.Header{"User-Agent": {"meddela"}},
		made:  map[string]*template.Template{},
	}
	if c.Method != http.MethodGet {
		h.fixed[contentType] = []string{jsonType}
	}
	for name, text := range c.Headers {
		if err := h.add(textproto.CanonicalMIMEHeaderKey(name), text); err != nil {
			return nil, fmt.Errorf("headers: %s: %w", name, err)
		}
	}
	return h, nil
}

func (h *headers) add(name, text string) error {
	if !strings.Contains(text, "{{") {
		if !httpguts.ValidHeaderFieldValue(text) {
			return errors.New("the value has control characters")
		}
		h.fixed[name] = []string{text}
		return nil
	}
	if name == contentType {
		return errors.New("must be literal")
	}
	t, err := template.New("header").Option("missingkey=error").Funcs(functions).Parse(text)
	if err == nil {
		err = t.Execute(new(strings.Builder), sample("a"))
	}
	h.made[name] = t
	return err
}

func (h *headers) contentType() string { return h.fixed.Get(contentType) }

// make returns the headers for a message, with room for more.
func (h *headers) make(data *Data) (http.Header, error) {
	all := make(http.Header, len(h.fixed)+len(h.made)+3)
	for name, values := range h.fixed {
		all[name] = values
	}
	for name, t := range h.made {
		var value strings.Builder
		if err := t.Execute(&value, data); err != nil || !httpguts.ValidHeaderFieldValue(value.String()) {
			return nil, fmt.Errorf("the request's header %s cannot be made of this message", name)
		}
		all[name] = []string{value.String()}
	}
	return all, nil
}
