// Package httpapi is a deliver.Provider that hands messages over by an HTTP request each: text messages, push messages,
// webhooks, and e-mail where the provider has an API for it. Configuration says what the request is and what its
// answers mean, so that any provider fits.
//
// One Send is one request. Only if the provider honours the idempotency key, and the connection broke, is it made once
// more. As long as no answer tells, the verdict is Unknown: Failed would let another provider have the message, which
// does not know the key.
//
// What events hold cannot change where a request goes, nor its headers: values
// in URLs are escaped, and a value that would break a header or a JSON body is
// refused. A body that does not escape its values is refused when it is configured.
package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
	"github.com/meddela/meddela/topology"
)

// Config says what to request of whom. URL, Headers and Body are templates of
// Go's text/template over Data, with a function json that writes a value as JSON.
type Config struct {
	// Name in the delivery log. Default "http".
	Name string
	// Method: POST (the default), PUT, PATCH, or GET, which has no body.
	Method string
	// URL, whose scheme, host and port are literal. Values in its path and query are escaped. Default: the target that the
	// message's own template names, which only webhooks have.
	URL string
	// Hosts, if there are any, are the only ones that a message's own target may have: "hooks.example.com",
	// "hooks.example.com:8443", "*.example.com". They are needed where requests have, or reach, what an author has not.
	Hosts []string
	// Headers by name. Content-Type is application/json by default.
	Headers map[string]string
	// Body. Default: the message's own JSON for push messages and webhooks, and
	// an object of to, text, subject, html and id, as the channel has them.
	Body string

	Auth Auth
	// Sign has the secrets to sign bodies with, by host: one of Hosts, or that of URL. Who knows the secret of
	// another could hand on to that what it gets. None for no signature.
	Sign map[string][]outbound.Secret

	// Idempotent says that the provider takes requests with the same key as one message.
	Idempotent bool
	// KeyPerAttempt makes the key another one after an attempt that has surely failed, for providers that repeat the
	// answer to a key even where it was a failure.
	KeyPerAttempt bool
	// IdempotencyHeader has the job's id as the key. Default Idempotency-Key.
	IdempotencyHeader string

	// Rules say what answers mean, the first that fits. An answer that none fits means what its status usually does.
	Rules []Rule
	// MessageID is where an answer has the provider's id of the message: the
	// path of a JSON value ("$.messages[0].id"), or "header:" and a name.
	MessageID string

	// Ref makes the references that bodies and headers may carry, as .Ref; nil makes none.
	Ref func(job *topology.Job, to string) string
	// Token is that of the provider's receipts, as .Token. It goes to URL only, never to targets of messages.
	Token outbound.Secret

	// Timeout of a Send. Default 8 s.
	Timeout time.Duration
	// Concurrency of requests. Default 16.
	Concurrency int

	// AllowPrivate is that of outbound.Config.
	AllowPrivate bool
}

const (
	jsonType    = "application/json"
	formType    = "application/x-www-form-urlencoded"
	contentType = "Content-Type"
)

// check sets the defaults, and looks at all but the templates.
func (c *Config) check() (err error) {
	c.Name = cmp.Or(c.Name, "http")
	c.Method = cmp.Or(c.Method, http.MethodPost)
	c.Timeout = cmp.Or(c.Timeout, 8*time.Second)
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	c.IdempotencyHeader = textproto.CanonicalMIMEHeaderKey(cmp.Or(c.IdempotencyHeader, "Idempotency-Key"))
	switch {
	case c.Timeout < 0 || c.Concurrency < 0:
		return errors.New("timeout and concurrency must be greater than 0")
	case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet}, c.Method):
		return errors.New("method: use POST, PUT, PATCH or GET")
	case c.Method == http.MethodGet && c.Body != "":
		return errors.New("body: a GET has none")
	case c.URL != "" && len(c.Hosts) > 0:
		return errors.New("hosts: they are for targets of messages, and there is a url")
	}
	if err := c.Auth.check(); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	special := func(name string) bool { return textproto.CanonicalMIMEHeaderKey(name) != contentType }
	if c.URL == "" && len(c.Hosts) == 0 && (c.Auth.name != "" || len(c.Sign) > 0 || c.AllowPrivate ||
		slices.ContainsFunc(slices.Collect(maps.Keys(c.Headers)), special)) {
		return errors.New("hosts: name those that requests with auth, sign, headers or allow_private may go to")
	}
	if c.Hosts, err = checkHosts(c.Hosts); err != nil {
		return err
	}
	return c.checkHeaders()
}

// signers are those of hosts, in their order.
func (c *Config) signers(hosts []string) (signers []outbound.Signer, err error) {
	for _, host := range hosts {
		signer, err := outbound.NewSigner(c.Sign[host]...)
		if err != nil {
			return nil, err
		}
		if len(c.Sign) > 0 && (len(signer) == 0 || host[0] == '*' || len(c.Sign) != len(hosts)) {
			return nil, fmt.Errorf("sign: each of the hosts (%s) needs a secret of its own, and none can begin with *: "+
				"say host beside each", strings.Join(hosts, ", "))
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// Headers that are not written as they stand: net/http's own, those of a connection, and those that have secrets.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Upgrade", "Te",
	"Trailer", "Expect", "Proxy-Authorization", "Authorization",
	outbound.HeaderID, outbound.HeaderTimestamp, outbound.HeaderSignature,
}

func (c *Config) checkHeaders() error {
	if !httpguts.ValidHeaderFieldName(c.IdempotencyHeader) || slices.Contains(ownHeaders, c.IdempotencyHeader) {
		return fmt.Errorf("idempotency header: %q cannot be it", c.IdempotencyHeader)
	}
	seen := map[string]bool{c.IdempotencyHeader: true, c.Auth.name: true}
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

// Auth is how the provider knows who asks: by one of these ways, or by none.
type Auth struct {
	// Bearer is a token for the header Authorization.
	Bearer outbound.Secret
	// Username and Password are for basic authentication.
	Username string
	Password outbound.Secret
	// Header is the name of a header that has Key.
	Header string
	Key    outbound.Secret
	// Token gets bearer tokens that end.
	Token token.Kind

	name   string // of the header that is set; empty if none is
	tokens *token.Source
}

// errCredentials has nothing of them.
var errCredentials = errors.New("the provider's credentials are empty, or cannot stand in a header")

func (a *Auth) check() error {
	basic, key := a.Username != "" || a.Password != nil, a.Header != "" || a.Key != nil
	a.name = textproto.CanonicalMIMEHeaderKey(a.Header)
	if a.Bearer != nil || basic || a.Token != nil {
		a.name = "Authorization"
	}
	ways := slices.DeleteFunc([]bool{a.Bearer != nil, basic, key, a.Token != nil}, func(is bool) bool { return !is })
	switch {
	case len(ways) > 1:
		return errors.New("use one of bearer, basic, header, oauth2, google and apns")
	case basic && (a.Username == "" || a.Password == nil):
		return errors.New("basic needs a username and a password")
	case key && (a.Header == "" || a.Key == nil):
		return errors.New("a header needs a name and a key")
	case key && (!httpguts.ValidHeaderFieldName(a.name) ||
		a.name != "Authorization" && slices.Contains(ownHeaders, a.name)):
		return errors.New("that header cannot have the key")
	}
	return nil
}

// apply sets the header, with the secret as it is at this moment. What the header has already was refused.
func (a *Auth) apply(ctx context.Context, h http.Header) (err error) {
	var secret, value string
	switch {
	case a.tokens != nil:
		if secret, err = a.tokens.Get(ctx, strings.TrimPrefix(h.Get(a.name), "Bearer ")); err != nil {
			return err
		}
		value = "Bearer " + secret
	case a.Bearer != nil:
		secret = a.Bearer()
		value = "Bearer " + secret
	case a.Username != "":
		secret = a.Password()
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+secret))
	case a.Key != nil:
		secret = a.Key()
		value = secret
	default:
		return nil
	}
	if secret == "" || !httpguts.ValidHeaderFieldValue(value) {
		return errCredentials
	}
	h[a.name] = []string{value}
	return nil
}
