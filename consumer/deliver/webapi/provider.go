package webapi

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/egress"
	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// Config says what to request of whom. Texts marked as templates are Go's
// text/template over Data, with a function json that writes a value as JSON.
type Config struct {
	// Name in the delivery log.
	Name string
	// Method. Default POST.
	Method string
	// URL, a template whose scheme and host must be literal. Default: the
	// target that the message's own template names, as webhooks do.
	URL string
	// Hosts, if there are any, are the only ones that a message's own target
	// may have.
	Hosts []string
	// Headers are templates by name.
	Headers map[string]string
	// Body is a template. Default: the message's JSON body.
	Body string
	// BearerToken, or Username and Password, log in.
	BearerToken, Username, Password string
	// Sign has the secrets that requests are signed with; none without.
	Sign [][]byte
	// Idempotent says that the provider takes requests of one idempotency key
	// as one message, so that a request without an answer is safe to repeat.
	Idempotent bool
	// IdempotencyHeader bears the job's id. Default Idempotency-Key.
	IdempotencyHeader string
	// Rules say what answers mean; what none of them is about has the meaning
	// that its status usually has.
	Rules []Rule
	// MessageID is the path of the provider's message id in its JSON answer.
	MessageID string
	// Timeout of a request. Default 8 s.
	Timeout time.Duration
	// Concurrency of requests. Default 16.
	Concurrency int
	// AllowPrivate lets requests go to addresses that are not public.
	AllowPrivate bool
	// TLS settings, if not the default.
	TLS *tls.Config
}

// Provider implements deliver.Provider.
type Provider struct {
	config  Config
	request *requestTemplates
	client  *egress.Client
	// Now is the clock of signatures and expiry.
	now func() time.Time
}

// New returns a Provider, or what is wrong with the configuration.
func New(c Config) (*Provider, error) {
	setDefault(&c.Method, http.MethodPost)
	setDefault(&c.IdempotencyHeader, "Idempotency-Key")
	setDefault(&c.Timeout, 8*time.Second)
	setDefault(&c.Concurrency, 16)
	switch {
	case c.Name == "":
		return nil, errors.New("it has no name")
	case c.Timeout < 0 || c.Concurrency < 1:
		return nil, errors.New("timeout and concurrency must be greater than 0")
	case c.BearerToken != "" && c.Username != "":
		return nil, errors.New("a bearer token and a user name are both given: use one of them")
	}
	for i := range c.Rules {
		if err := c.Rules[i].check(); err != nil {
			return nil, fmt.Errorf("answer %d: %w", i+1, err)
		}
	}
	request, err := compile(&c)
	if err != nil {
		return nil, err
	}
	return &Provider{
		config: c, request: request, now: time.Now,
		client: egress.New(egress.Config{AllowPrivate: c.AllowPrivate, TLS: c.TLS, Connections: c.Concurrency}),
	}, nil
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// Name implements deliver.Provider.
func (p *Provider) Name() string { return p.config.Name }

// Concurrency implements deliver.Provider.
func (p *Provider) Concurrency() int { return p.config.Concurrency }

// Close closes the connections that are not in use.
func (p *Provider) Close() { p.client.Close() }

// Send implements deliver.Provider.
func (p *Provider) Send(ctx context.Context, job *topology.Job, m *message.Message) deliver.Response {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	var progress progress
	r, body, err := p.request.make(progress.traced(ctx), dataOf(job, m), m.To)
	if err != nil {
		return deliver.Response{Verdict: deliver.Refused, Detail: err.Error()}
	}
	p.authorize(r, job, body)
	if !job.Expires.IsZero() && !p.now().Before(job.Expires) {
		return deliver.Response{Verdict: deliver.Late}
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return p.unanswered(err, progress.begun())
	}
	return p.config.meaning(answer, p.now())
}

func (p *Provider) authorize(r *http.Request, job *topology.Job, body []byte) {
	r.Header.Set(p.config.IdempotencyHeader, string(job.JobID))
	switch {
	case p.config.BearerToken != "":
		r.Header.Set("Authorization", "Bearer "+p.config.BearerToken)
	case p.config.Username != "":
		login := base64.StdEncoding.EncodeToString([]byte(p.config.Username + ":" + p.config.Password))
		r.Header.Set("Authorization", "Basic "+login)
	}
	if len(p.config.Sign) > 0 {
		r.Header.Set(egress.SignatureHeader, egress.Sign(p.config.Sign, body, p.now()))
	}
}
