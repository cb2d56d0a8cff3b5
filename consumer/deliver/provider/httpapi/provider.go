package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Provider is a provider.Provider.
type Provider struct {
	config    Config
	client    *outbound.Client
	target    *target // nil where messages name their own
	headers   *headers
	body      *body             // nil with GET
	signers   []outbound.Signer // of the hosts, or of the target
	messageID finder
}

// New returns a Provider, or what is wrong with the configuration. It does not connect.
func New(c Config) (_ *Provider, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p, signed := &Provider{}, c.Hosts
	if c.URL != "" {
		if p.target, err = newTarget(c.URL); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
		signed = []string{p.target.base.Host}
		// With AllowPrivate it is judged by the address that is dialled.
		if base := p.target.base; c.Auth.name != "" && base.Scheme != "https" && !c.AllowPrivate &&
			!outbound.IsLoopback(base.Hostname()) {
			return nil, errors.New(
				"url: credentials are sent over https only, except to private targets that are allowed")
		}
	}
	if p.headers, err = newHeaders(&c); err != nil {
		return nil, err
	}
	if c.Method != http.MethodGet {
		if p.body, err = newBody(c.Body, p.headers.fixed.Get(contentType)); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	if p.signers, err = c.signers(signed); err != nil {
		return nil, err
	}
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		if err := c.Rules[i].read(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	if c.MessageID != "" {
		if p.messageID, err = locate(c.MessageID); err != nil {
			return nil, fmt.Errorf("message id: %w", err)
		}
	}
	p.client = outbound.New(outbound.Config{
		MaxConns: c.Concurrency, AllowPrivate: c.AllowPrivate, ClearInside: c.Auth.name != "",
	})
	if c.Auth.Token != nil {
		if c.Auth.tokens, err = c.Auth.Token.Source(p.client); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	p.config = c
	return p, nil
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return p.config.Name }

// Concurrency implements provider.Provider.
func (p *Provider) Concurrency() int { return p.config.Concurrency }

// Close closes the connections that wait for messages. Sending goes on to work.
func (p *Provider) Close() { p.client.Close() }

// Send implements provider.Provider.
func (p *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	if job.Expired(time.Now()) {
		return provider.Response{Verdict: provider.Expired}
	}
	r, err := p.request(job, m)
	if err != nil {
		return provider.Response{Verdict: provider.Rejected, Detail: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	if err := p.config.Auth.apply(ctx, r.Header); err != nil {
		return provider.Response{Verdict: provider.Down, Detail: err.Error()}
	}
	response, err := p.ask(ctx, r, m)
	if err == nil {
		return response
	}
	failed, _ := errors.AsType[*outbound.Error](err) // which it always is
	response = p.unanswered(failed)
	if response.Verdict != provider.Unknown || !p.config.Idempotent || failed.Timeout() {
		return response
	}
	// The connection broke, and the provider knows the request by its key. Only the
	// acceptance of a second one, or a refusal, tells of the first too.
	second, err := p.ask(ctx, r, m)
	if err != nil {
		return response
	}
	if second.Verdict == provider.Failed || second.Verdict == provider.Down {
		second.Verdict = provider.Unknown
	}
	return second
}

// ask makes a request, and says what its answer means. Where the credentials are refused, and there are others by
// now, it is made again with them.
func (p *Provider) ask(ctx context.Context, r *outbound.Request, m *template.Message) (provider.Response, error) {
	for again := false; ; again = true {
		answer, err := p.client.Do(ctx, r)
		if err != nil {
			return provider.Response{}, err
		}
		response, refused := p.meaning(&answer, r.URL.Host, m)
		if !refused || again {
			return response, nil
		}
		before := r.Header.Get(p.config.Auth.name)
		r.Header = r.Header.Clone()
		if err := p.config.Auth.apply(ctx, r.Header); err != nil || r.Header.Get(p.config.Auth.name) == before {
			return response, nil
		}
	}
}

// request makes the request for a message, without the credentials. Its errors have nothing of the message.
func (p *Provider) request(job *topology.Job, m *template.Message) (*outbound.Request, error) {
	data := dataOf(job, m)
	if p.config.Ref != nil {
		data.ref = func() string { return p.config.Ref(job, m.To) }
	}
	if p.target != nil {
		data.token = p.config.Token
	}
	r := &outbound.Request{Method: p.config.Method, NotAfter: job.Expires}
	var err error
	var signer outbound.Signer
	if r.URL, signer, err = p.url(&data); err != nil {
		return nil, err
	}
	if r.Header, err = p.headers.make(&data); err != nil {
		return nil, err
	}
	if p.body != nil {
		if r.Body, err = p.body.make(&data); err != nil {
			return nil, err
		}
	}
	if !httpguts.ValidHeaderFieldValue(string(job.JobID) + job.Key) {
		return nil, errors.New("the job's id cannot stand in a header")
	}
	key := string(job.JobID)
	if p.config.KeyPerAttempt {
		key = cmp.Or(job.Key, key)
	}
	r.Header[p.config.IdempotencyHeader] = []string{key}
	signer.Sign(r.Header, string(job.JobID), r.Body, time.Now())
	return r, nil
}

// url is where the request for a message goes: to the configured target, or to
// the one that the message's template names; and what signs it there.
func (p *Provider) url(data *Data) (u *url.URL, signer outbound.Signer, err error) {
	if p.target != nil {
		u, err = p.target.make(data)
		return u, p.signers[0], err
	}
	if data.Channel != topology.Webhook {
		return nil, nil, errors.New("the provider has no URL, and the message no target of its own")
	}
	if u, err = outbound.ParseURL(data.To); err != nil {
		return nil, nil, errors.New("the template's target is no http or https URL")
	}
	hosts := p.config.Hosts
	if len(hosts) == 0 {
		return u, nil, nil
	}
	i := slices.IndexFunc(hosts, func(pattern string) bool { return hostFits(u, pattern) })
	if i < 0 {
		return nil, nil, errors.New("the template's target is on a host that the provider's hosts do not name")
	}
	return u, p.signers[i], nil
}
