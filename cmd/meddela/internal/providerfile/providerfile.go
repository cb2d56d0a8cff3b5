// Package providerfile reads the file that says which providers each channel has,
// and makes them.
package providerfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/deliver/provider/quota"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/receive"
	"github.com/meddela/meddela/topology"
)

// File is what a file says.
type File struct {
	Providers []Definition
	Routes    map[topology.Channel]Route
}

// index is where a provider is; -1 where it is not.
func (f *File) index(name string) int {
	return slices.IndexFunc(f.Providers, func(d Definition) bool { return d.Name == name })
}

// Kind is a kind of provider.
type Kind string

const (
	SMTP    Kind = "smtp"
	HTTP    Kind = "http"
	Sandbox Kind = "sandbox"
)

// Definition is one provider.
type Definition struct {
	Name        string
	Channels    []topology.Channel
	Kind        Kind
	Timeout     time.Duration // 0 for the kind's own
	Concurrency int           // of one process; 0 for the kind's own
	Limit       Limit
	Breaker     failover.Breaker

	SMTP smtp.Config
	HTTP httpapi.Config
	// Receipts that the provider sends; nil for none.
	Receipts *receive.Source
}

// Limit is what all processes together keep to.
type Limit struct {
	Rate    float64 `json:"limit_rate,omitempty"`        // messages a second; 0 for any number
	AtOnce  int     `json:"limit_concurrency,omitempty"` // 0 for any number
	Reserve float64 `json:"limit_reserve,omitempty"`     // the share that the batch lane leaves free
}

// Route is how a channel's providers are chosen among.
type Route struct {
	Order   failover.Order `json:"order"`
	Members []RouteMember  `json:"providers"`
}

// Names are the providers of a channel: with their shares, or in their order.
func (r Route) Names() string {
	names := make([]string, len(r.Members))
	for i, m := range r.Members {
		names[i] = m.Provider
		if m.Weight > 0 {
			names[i] += fmt.Sprintf(" (%d)", m.Weight)
		}
	}
	return strings.Join(names, ", ")
}

// RouteMember is a provider of a route.
type RouteMember struct {
	Provider string `json:"name"`
	Weight   int    `json:"weight,omitempty"`
}

// Site is where providers are used.
type Site struct {
	Lane  topology.Lane
	Redis redis.UniversalClient
	Keys  topology.Keys
	// Stopped reports whether an operator has stopped a provider.
	Stopped func(provider string) bool
	// Log says when a provider begins to fail, and when its circuit opens and closes.
	Log zerolog.Logger
	// Ref makes the reference of a message, by which receipts are known; nil without a pepper.
	Ref func(job *topology.Job, to string) string
}

// Build makes the providers, and a failover.Route for each channel that has some.
// close ends what they keep open. The error says which provider cannot be made.
func (f *File) Build(site Site) (routes map[topology.Channel]provider.Provider, close func(), err error) {
	var closers []provider.Closer
	closeAll := func() {
		for _, c := range closers {
			c.Close()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	made := make(map[string]failover.Backend)
	for i := range f.Providers {
		d := &f.Providers[i]
		if d.SMTP.Ref, d.HTTP.Ref = site.Ref, site.Ref; site.Ref == nil && d.wantsRefs() {
			return nil, nil, fmt.Errorf("provider %s: its receipts are known by MEDDELA_SUPPRESS_PEPPER, which is not set", d.Name)
		}
		backend := failover.Backend{Breaker: d.Breaker}
		if backend.Provider, err = d.New(); err != nil {
			return nil, nil, fmt.Errorf("provider %s: %w", d.Name, err)
		}
		if c, ok := backend.Provider.(provider.Closer); ok {
			closers = append(closers, c)
		}
		if d.Limit.Rate > 0 || d.Limit.AtOnce > 0 {
			limiter, err := quota.New(quota.Config{
				Client: site.Redis, Keys: site.Keys, Provider: d.Name, Lane: site.Lane,
				Rate: d.Limit.Rate, AtOnce: d.Limit.AtOnce, Reserve: d.Limit.Reserve, SendTime: d.Timeout,
			})
			if err != nil {
				return nil, nil, fmt.Errorf("provider %s: %w", d.Name, err)
			}
			backend.Limiter, closers = limiter, append(closers, limiter)
		}
		made[d.Name] = backend
	}
	routes = make(map[topology.Channel]provider.Provider)
	for channel, route := range f.Routes {
		c := failover.Config{Name: string(channel), Order: route.Order, Stopped: site.Stopped, Tell: site.tell}
		for _, m := range route.Members {
			backend := made[m.Provider]
			backend.Weight = m.Weight
			c.Backends = append(c.Backends, backend)
		}
		if routes[channel], err = failover.New(c); err != nil {
			return nil, nil, fmt.Errorf("route %s: %w", channel, err)
		}
	}
	return routes, closeAll, nil
}

// tell logs what happens to a provider.
func (s *Site) tell(name string, what failover.Turn, last provider.Response) {
	level := zerolog.WarnLevel
	if what == failover.Closed {
		level = zerolog.InfoLevel
	}
	s.Log.WithLevel(level).Str("provider", name).Stringer("verdict", last.Verdict).Str("last_failure", last.Detail).
		Msg("provider: " + string(what))
}

// New makes the provider.
func (d *Definition) New() (provider.Provider, error) {
	switch d.Kind {
	case SMTP:
		return smtp.New(d.SMTP)
	case HTTP:
		return httpapi.New(d.HTTP)
	case Sandbox:
		return sandbox.New(sandbox.Config{Name: d.Name, Concurrency: d.Concurrency})
	}
	return nil, fmt.Errorf("it is of no kind that there is: %q", d.Kind)
}
