package httpapi

import (
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
	body      *body // nil with GET
	signer    outbound.Signer
	messageID location
}

// New returns a Provider, or what is wrong with the configuration. It does not
// connect.
func New(c Config) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Provider{config: c}
	if err := p.compile(); err != nil {
		return nil, err
	}
	p.client = outbound.New(outbound.Config{MaxConns: c.Concurrency, AllowPrivate: c.AllowPrivate})
	return p, nil
}

func (p *Provider) compile() (err error) {
	c := &p.config
	if c.Hosts, err = checkHosts(c.Hosts); err != nil {
		return err
	}
	if c.URL != "" {
		if p.target, err = newTarget(c.URL); err != nil {
			return fmt.Errorf("url: %w", err)
		}
		if c.Auth.set() && !p.mayHaveSecrets(p.target.origin) {
			return errors.New("url: credentials are sent over https only, except to private targets that are allowed")
		}
	}
	if p.headers, err = newHeaders(c); err != nil {
		return err
	}
	if c.Method != http.MethodGet {
		if p.body, err = newBody(c.Body, p.headers.contentType()); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	if p.signer, err = outbound.NewSigner(c.Sign...); err != nil {
		return err
	}
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		if err := c.Rules[i].read(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	if p.messageID, err = newLocation(c.MessageID); err != nil {
		return fmt.Errorf("message id: %w", err)
	}
	return nil
}

// mayHaveSecrets reports whether credentials may be sent to a URL.
func (p *Provider) mayHaveSecrets(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || p.config.AllowPrivate || outbound.IsLoopback(u.Hostname()))
}

// Name implements provider.Provider.
func (p *Provider) Name() string { return p.config.Name }

// Concurrency implements provider.Provider.
func (p *Provider) Concurrency() int { return p.config.Concurrency }

// Close closes the connections that wait for messages. Sending goes on to work.
func (p *Provider) Close() { p.client.Close() }

// Send implements provider.Provider.
func (p *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	if !job.Expires.IsZero() && !time.Now().Before(job.Expires) {
		return provider.Response{Verdict: provider.Expired}
	}
	r, err := p.request(job, m)
	switch {
	case errors.Is(err, errCredentials):
		return provider.Response{Verdict: provider.Down, Detail: err.Error()}
	case err != nil:
		return provider.Response{Verdict: provider.Rejected, Detail: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	answer, err := p.client.Do(ctx, r)
	if err == nil {
		return p.meaning(&answer, r.URL.Host, m)
	}
	var failed *outbound.Error
	errors.As(err, &failed)
	response := provider.Response{Verdict: p.unanswered(failed.Kind), Detail: failed.Error()}
	if response.Verdict != provider.Unknown || !p.config.Idempotent || failed.Timeout() {
		return response
	}
	// The connection broke, and the provider knows the request by its key. Only the
	// acceptance of a second one, or a refusal, tells of the first too.
	if answer, err = p.client.Do(ctx, r); err != nil {
		return response
	}
	response = p.meaning(&answer, r.URL.Host, m)
	if response.Verdict == provider.Failed || response.Verdict == provider.Down {
		response.Verdict = provider.Unknown
	}
	return response
}

// request makes the request for a message. Its errors have nothing of the
// message, nor of the credentials.
func (p *Provider) request(job *topology.Job, m *template.Message) (*outbound.Request, error) {
	data := dataOf(job, m)
	r := &outbound.Request{Method: p.config.Method, NotAfter: job.Expires}
	var err error
	if r.URL, err = p.url(&data); err != nil {
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
	if !httpguts.ValidHeaderFieldValue(string(job.JobID)) {
		return nil, errors.New("the job's id cannot stand in a header")
	}
	r.Header[p.config.IdempotencyHeader] = []string{string(job.JobID)}
	if err := p.config.Auth.apply(r.Header); err != nil {
		return nil, err
	}
	if p.signer.Sign(r.Header, string(job.JobID), r.Body, time.Now()) != nil {
		return nil, errCredentials
	}
	return r, nil
}

func (p *Provider) url(data *Data) (*url.URL, error) {
	if p.target != nil {
		return p.target.make(data)
	}
	if data.Channel != topology.Webhook {
		return nil, errNoTarget
	}
	u, err := ownTarget(data.To, p.config.Hosts)
	if err == nil && u.Scheme != "https" && p.config.Auth.set() && !p.mayHaveSecrets(data.To) {
		err = errCleartext
	}
	return u, err
}
