package httpapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
)

// Config says what to request of whom. URL, Headers and Body are templates of
// Go's text/template over Data, with a function json that writes a value as JSON.
type Config struct {
	// Name in the delivery log.
	Name string
	// Method: POST (the default), PUT, PATCH, or GET, which has no body.
	Method string
	// URL, whose scheme, host and port are literal. Values in its path and query
	// are escaped. Default: the target that the message's own template names,
	// which only webhooks have.
	URL string
	// Hosts, if there are any, are the only ones that a message's own target may
	// have: "hooks.example.com", "hooks.example.com:8443", "*.example.com".
	Hosts []string
	// Headers by name. Content-Type is application/json by default.
	Headers map[string]string
	// Body. Default: the message's own JSON for push messages and webhooks, and
	// an object of to, text, subject, html and id, as the channel has them.
	Body string

	Auth Auth
	// Sign has the secrets to sign bodies with; none for no signature.
	Sign []outbound.Secret

	// Idempotent says that the provider takes requests with the same key as one
	// message.
	Idempotent bool
	// IdempotencyHeader has the job's id as the key. Default Idempotency-Key.
	IdempotencyHeader string

	// Rules say what answers mean, the first that fits. An answer that none
	// fits means what its status usually does.
	Rules []Rule
	// MessageID is where an answer has the provider's id of the message: the
	// path of a JSON value ("$.messages[0].id"), or "header:" and a name.
	MessageID string

	// Timeout of a Send. Default 8 s.
	Timeout time.Duration
	// Concurrency of requests. Default 16.
	Concurrency int

	// AllowPrivate, Allow, TLS and Proxy are those of outbound.Config.
	AllowPrivate bool
	Allow        []netip.Prefix
	TLS          *tls.Config
	Proxy        *url.URL
}

const (
	defaultIdempotencyHeader = "Idempotency-Key"
	defaultTimeout           = 8 * time.Second
	defaultConcurrency       = 16
	jsonType                 = "application/json"
	formType                 = "application/x-www-form-urlencoded"
	contentType              = "Content-Type"
)

func (c *Config) setDefaults() {
	setDefault(&c.Method, http.MethodPost)
	setDefault(&c.IdempotencyHeader, defaultIdempotencyHeader)
	setDefault(&c.Timeout, defaultTimeout)
	setDefault(&c.Concurrency, defaultConcurrency)
	c.IdempotencyHeader = textproto.CanonicalMIMEHeaderKey(c.IdempotencyHeader)
}

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// check looks at all but the templates.
func (c *Config) check() error {
	switch {
	case c.Name == "":
		return errors.New("it has no name")
	case c.Timeout < 0 || c.Concurrency < 0:
		return errors.New("timeout and concurrency must be greater than 0")
	case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet}, c.Method):
		return errors.New("method: use POST, PUT, PATCH or GET")
	case c.Method == http.MethodGet && c.Body != "":
		return errors.New("body: a GET has none")
	case c.URL == "" && c.Auth.set() && len(c.Hosts) == 0:
		return errors.New("hosts: name those that credentials may be sent to")
	case c.URL != "" && len(c.Hosts) > 0:
		return errors.New("hosts: they are for targets of messages, and there is a url")
	}
	if err := c.Auth.check(); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return c.checkHeaders()
}

// Headers that are not written as they stand: net/http's own, those of a
// connection, and those that have secrets.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Upgrade", "Te",
	"Trailer", "Expect", "Proxy-Authorization", "Authorization", outbound.HeaderID, outbound.HeaderTimestamp, outbound.HeaderSignature,
}

func (c *Config) checkHeaders() error {
	if !httpguts.ValidHeaderFieldName(c.IdempotencyHeader) || slices.Contains(ownHeaders, c.IdempotencyHeader) {
		return fmt.Errorf("idempotency header: %q cannot be it", c.IdempotencyHeader)
	}
	seen := map[string]bool{c.IdempotencyHeader: true, c.Auth.header(): true}
	for name := range c.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("headers: %q is no name of a header", name)
		case canonical == "Authorization":
			return errors.New("headers: use auth for Authorization")
		case slices.Contains(ownHeaders, canonical):
			return fmt.Errorf("headers: %s cannot be set", canonical)
		case seen[canonical]:
			return fmt.Errorf("headers: %s is set twice", canonical)
		}
		seen[canonical] = true
	}
	return nil
}
