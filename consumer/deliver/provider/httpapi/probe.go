package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
)

// Probe implements provider.Prober: it asks the target's host for nothing. Whether the
// credentials are good only a request for a message tells, but for tokens, which are got.
func (p *Provider) Probe(ctx context.Context) provider.Response {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	if err := p.config.Auth.apply(ctx, make(http.Header)); err != nil {
		return provider.Response{Verdict: provider.Down, Detail: err.Error()}
	}
	if p.target == nil {
		return provider.Response{Verdict: provider.Accepted, Detail: "templates name its targets"}
	}
	origin := &url.URL{Scheme: p.target.base.Scheme, Host: p.target.base.Host, Path: "/"}
	answer, err := p.client.Do(ctx, &outbound.Request{Method: http.MethodHead, URL: origin})
	if err != nil {
		return provider.Response{Verdict: provider.Down, Detail: err.Error()}
	}
	detail := "it is there, and answered " + strconv.Itoa(answer.Status)
	return provider.Response{Verdict: provider.Accepted, Detail: detail}
}
