package providerfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/deliver/provider/quota"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// Site is where providers are used.
type Site struct {
	Lane  topology.Lane
	Redis redis.UniversalClient
	Keys  topology.Keys
	// Stopped tells whether an operator has stopped a provider.
	Stopped func(provider string) bool
}

// Build makes the providers, and a route for each channel that has some.
// close ends what they keep open. The error says which provider cannot be made.
func (f *File) Build(site Site) (routes map[topology.Channel]*failover.Route, close func(), err error) {
	made := make(map[string]failover.Backend)
	var closers []func()
	close = func() {
		for _, c := range closers {
			c()
		}
	}
	for i := range f.Providers {
		d := &f.Providers[i]
		provider, err := d.provider()
		if err != nil {
			close()
			return nil, nil, fmt.Errorf("provider %s: %w", d.Name, err)
		}
		if c, ok := provider.(interface{ Close() }); ok {
			closers = append(closers, c.Close)
		}
		backend := failover.Backend{Provider: provider, Breaker: d.Breaker}
		limiter, err := d.limiter(site)
		if err != nil {
			close()
			return nil, nil, fmt.Errorf("provider %s: %w", d.Name, err)
		}
		if limiter != nil {
			backend.Limiter = limiter
			closers = append(closers, limiter.Close)
		}
		made[d.Name] = backend
	}
	routes = make(map[topology.Channel]*failover.Route)
	for channel, route := range f.Routes {
		c := failover.Config{Name: string(channel), Order: route.Order, Stopped: site.Stopped}
		for _, m := range route.Members {
			backend := made[m.Provider]
			backend.Weight = m.Weight
			c.Backends = append(c.Backends, backend)
		}
		if routes[channel], err = failover.New(c); err != nil {
			close()
			return nil, nil, fmt.Errorf("route %s: %w", channel, err)
		}
	}
	return routes, close, nil
}

func (d *Definition) limiter(site Site) (*quota.Limiter, error) {
	if d.Limit.Rate == 0 && d.Limit.AtOnce == 0 {
		return nil, nil
	}
	return quota.New(quota.Config{
		Client: site.Redis, Keys: site.Keys, Provider: d.Name, Lane: site.Lane,
		Rate: d.Limit.Rate, AtOnce: d.Limit.AtOnce, Reserve: d.Limit.Reserve, SendTime: d.Timeout,
	})
}

func (d *Definition) provider() (provider.Provider, error) {
	switch d.Kind {
	case SMTP:
		return d.smtp()
	case HTTP:
		return httpapi.New(d.HTTP)
	case Sandbox:
		return sandbox.New(sandbox.Config{Name: d.Name, Concurrency: d.Concurrency})
	}
	return nil, fmt.Errorf("it is of no kind that there is: %q", d.Kind)
}

func (d *Definition) smtp() (provider.Provider, error) {
	host, port, err := hostAndPort(d.SMTP.Addr)
	if err != nil {
		return nil, err
	}
	c := smtp.Config{
		Name: d.Name, Host: host, Port: port, Security: smtp.Security(d.SMTP.TLS),
		Username: d.SMTP.Username, Password: revealed(d.SMTP.Password), Mechanism: d.SMTP.Mechanism,
		From: d.SMTP.From, FromName: d.SMTP.FromName, ReplyTo: d.SMTP.ReplyTo, Hello: d.SMTP.Hello,
		Concurrency: d.Concurrency, Timeout: d.Timeout, MaxMessages: d.SMTP.MaxMessages,
		DKIM:        smtp.DKIM{Domain: d.SMTP.DKIM.Domain, Selector: d.SMTP.DKIM.Selector, Key: []byte(revealed(d.SMTP.DKIM.Key))},
		Attachments: smtp.Attachments{Hosts: d.SMTP.AttachmentHosts, MaxBytes: d.SMTP.AttachmentBytes},
	}
	if d.SMTP.CAFile != "" {
		pem, err := os.ReadFile(d.SMTP.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: x509.NewCertPool()}
		if !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate in PEM form", d.SMTP.CAFile)
		}
	}
	return smtp.New(c)
}

func hostAndPort(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, errors.New("it must be host:port, such as mail.example.com:587")
	}
	return host, port, nil
}

func revealed(s outbound.Secret) string {
	if s == nil {
		return ""
	}
	return s()
}
