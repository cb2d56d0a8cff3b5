package providerfile

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// Parse reads a file's text. Secrets are looked up by the references in it: in
// the environment, by lookup, or in files. The error is faults.List.
func Parse(name, text string, lookup func(string) (string, bool)) (*File, error) {
	p := &parser{lookup: lookup, file: &File{Routes: make(map[topology.Channel]Route)}}
	err := strictyaml.Read(name, text, p.top)
	return p.file, err
}

type parser struct {
	lookup func(string) (string, bool)
	file   *File
}

func (p *parser) top(m *strictyaml.Map) {
	if !m.Has("providers") {
		m.Fail("providers", "there are none: add a list of them")
	}
	for _, each := range m.Maps("providers") {
		p.provider(each)
	}
	if routes := m.Map("routes"); routes != nil {
		for _, key := range routes.Keys() {
			p.route(routes, key)
		}
	}
	p.defaultRoutes()
}

// validName is what can stand in logs, metrics, keys and orders.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (p *parser) provider(m *strictyaml.Map) {
	d := Definition{Name: m.Needed("name", "ses-1")}
	if d.Name != "" && !validName.MatchString(d.Name) {
		m.Fail("name", "it must be 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit")
	}
	if slices.ContainsFunc(p.file.Providers, func(other Definition) bool { return other.Name == d.Name }) {
		m.Fail("name", strconv.Quote(d.Name)+" is there already: give each provider a name of its own")
	}
	d.Kind = Kind(m.OneOf("kind", "", string(SMTP), string(HTTP), string(Sandbox)))
	if !m.Has("kind") {
		m.Fail("kind", "it is missing: say smtp, http or sandbox")
	}
	d.Channels = p.channels(m, d.Kind)
	d.Timeout = m.Duration("timeout", 10*time.Millisecond, 9*time.Second)
	d.Concurrency = m.Int("concurrency", 1, 10_000)
	d.Limit = limitOf(m.Map("limit"))
	if b := m.Map("breaker"); b != nil {
		d.Breaker = failover.Breaker{Failures: b.Int("failures", 1, 1_000_000),
			Open: b.Duration("open", 100*time.Millisecond, time.Hour)}
	}
	for _, kind := range []Kind{SMTP, HTTP} {
		section, faults := m.Map(string(kind)), m.Faulty()
		switch {
		case section == nil && d.Kind == kind:
			m.Fail(string(kind), "it is missing: a provider of this kind needs it")
		case section != nil && d.Kind != kind:
			section.Keys() // they may be right, elsewhere
			m.Fail(string(kind), "it does not belong to a provider of kind "+string(d.Kind)+": remove it")
		case section != nil && kind == SMTP:
			d.SMTP = p.smtp(section)
			d.SMTP.Name, d.SMTP.Timeout, d.SMTP.Concurrency = d.Name, d.Timeout, d.Concurrency
			if _, err := smtp.New(d.SMTP); err != nil && m.Faulty() == faults {
				m.Fail("smtp", strings.TrimPrefix(err.Error(), "smtp: "))
			}
		case section != nil:
			d.HTTP = p.http(section, &d)
			d.HTTP.Name, d.HTTP.Timeout, d.HTTP.Concurrency = d.Name, d.Timeout, d.Concurrency
			if _, err := httpapi.New(d.HTTP); err != nil && validName.MatchString(d.Name) {
				m.Fail("http", err.Error())
			}
		}
	}
	p.file.Providers = append(p.file.Providers, d)
}

func (p *parser) channels(m *strictyaml.Map, kind Kind) (channels []topology.Channel) {
	names := m.Texts("channels")
	if !m.Has("channels") {
		m.Fail("channels", "it is missing: say channels: [email]")
	}
	for _, name := range names {
		channel := topology.Channel(name)
		switch {
		case !slices.Contains(topology.Channels(), channel):
			m.Fail("channels", strconv.Quote(name)+" is no channel: use email, sms, push or webhook")
		case kind == SMTP && channel != topology.Email:
			m.Fail("channels", "a provider of kind smtp serves email only: remove "+name)
		case slices.Contains(channels, channel):
			m.Fail("channels", name+" is there twice: remove one")
		default:
			channels = append(channels, channel)
		}
	}
	return channels
}

func limitOf(m *strictyaml.Map) (l Limit) {
	if m == nil {
		return l
	}
	l.Rate = m.Number("rate", 0.001, 1_000_000)
	l.AtOnce = m.Int("concurrency", 1, 1_000_000)
	l.Reserve = m.Number("reserve", 0, 0.99)
	switch {
	case l.Rate == 0 && l.AtOnce == 0 && !m.Has("rate") && !m.Has("concurrency"):
		m.Fail("rate", "a limit needs a rate (messages a second), a concurrency (messages at once), or both")
	case l.AtOnce > 0 && int(float64(l.AtOnce)*(1-l.Reserve)+1e-9) < 1:
		m.Fail("reserve", "it leaves the batch lane none of the concurrency: lower it")
	}
	return l
}

// plainHost is a host's name without scheme, port and path.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// smtp reads all but the name and the numbers that every kind has.
func (p *parser) smtp(m *strictyaml.Map) (c smtp.Config) {
	if addr := m.Needed("addr", "mail.example.com:587"); addr != "" {
		host, port, err := net.SplitHostPort(addr)
		c.Host = host
		if c.Port, _ = strconv.Atoi(port); err != nil || host == "" || c.Port < 1 || c.Port > 65535 {
			m.Fail("addr", "it must be host:port, such as mail.example.com:587")
		}
	}
	c.From = m.Needed("from", "shop@example.com")
	c.FromName, c.ReplyTo, c.Hello = m.Text("from_name"), m.Text("reply_to"), m.Text("hello")
	c.Security = smtp.Security(m.OneOf("tls", string(smtp.StartTLS),
		string(smtp.NoTLS), string(smtp.StartTLS), string(smtp.StartTLSIfOffered), string(smtp.ImplicitTLS)))
	c.TLS = authorities(m, c.Host)
	c.Username, c.Password, c.Mechanism = m.Text("username"), p.secret(m, "password"), m.Text("mechanism")
	switch {
	case !m.Has("username") && m.Has("password"):
		m.Fail("password", "it needs a username beside it")
	case m.Has("username") && !m.Has("password"):
		m.Fail("username", "it needs a password beside it, such as password: {file: /run/secrets/password}")
	}
	c.MaxMessages = m.Int("max_messages", 1, 1_000_000)
	if dkim := m.Map("dkim"); dkim != nil {
		if !dkim.Has("key") {
			dkim.Fail("key", "it is missing: say where it is, such as key: {file: /run/secrets/key}")
		}
		c.DKIM = smtp.DKIM{
			Domain: dkim.Needed("domain", "example.com"), Selector: dkim.Needed("selector", "s1"),
			Key: p.secret(dkim, "key"),
		}
	}
	if files := m.Map("attachments"); files != nil {
		c.Attachments = smtp.Attachments{Hosts: files.Texts("hosts"), MaxBytes: files.Int("max_bytes", 1, 50<<20)}
		if !files.Has("hosts") {
			files.Fail("hosts", "it is missing: name the hosts that files may be fetched from")
		}
		for _, host := range c.Attachments.Hosts {
			if !plainHost.MatchString(host) {
				files.Fail("hosts", strconv.Quote(host)+" must be a host's name alone, such as files.example.com")
			}
		}
	}
	return c
}

// authorities are those of ca_file, instead of the system's; nil without it.
func authorities(m *strictyaml.Map, host string) *tls.Config {
	name := m.Text("ca_file")
	if name == "" {
		return nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		m.Fail("ca_file", "it cannot be read: "+err.Error())
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: x509.NewCertPool()}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		m.Fail("ca_file", name+" has no certificate in PEM form")
	}
	return c
}

func (p *parser) http(m *strictyaml.Map, d *Definition) httpapi.Config {
	c := httpapi.Config{
		Method: m.OneOf("method", "POST", "POST", "PUT", "PATCH", "GET"),
		URL:    m.Text("url"), Hosts: m.Texts("hosts"), Headers: m.TextMap("headers"), Body: m.Text("body"),
		Idempotent: m.Bool("idempotent"), IdempotencyHeader: m.Text("idempotency_header"),
		MessageID: m.Text("message_id"), AllowPrivate: m.Bool("allow_private"),
	}
	if c.URL == "" && !m.Has("url") && slices.ContainsFunc(d.Channels,
		func(c topology.Channel) bool { return c != topology.Webhook }) {
		m.Fail("url", "it is missing: only a webhook's template names its own target")
	}
	if auth := m.Map("auth"); auth != nil {
		c.Auth = httpapi.Auth{
			Bearer: p.headerSecret(auth, "bearer"), Username: auth.Text("username"), Password: p.secret(auth, "password"),
			Header: auth.Text("header"), Key: p.headerSecret(auth, "key"),
		}
	}
	for _, each := range m.Maps("sign") {
		value := each.Secret(p.lookup)
		if err := outbound.CheckSigningSecret(value); value != "" && err != nil {
			m.Fail("sign", err.Error())
		}
		c.Sign = append(c.Sign, outbound.Fixed(value))
	}
	for _, each := range m.Maps("answers") {
		c.Rules = append(c.Rules, ruleOf(each))
	}
	return c
}

var verdicts = []string{"accepted", "skipped", "rejected", "failed", "down", "unknown"}

func ruleOf(m *strictyaml.Map) httpapi.Rule {
	word := m.OneOf("verdict", "", verdicts...)
	if !m.Has("verdict") {
		m.Fail("verdict", "it is missing: say "+strings.Join(verdicts, ", "))
	}
	verdict, _ := httpapi.ParseVerdict(word) // which OneOf has checked
	return httpapi.Rule{
		Status: m.Text("status"), JSON: m.Text("json"), Equals: m.Text("equals"), Verdict: verdict,
		Reason: topology.Reason(m.OneOf("reason", "", string(topology.ReasonInvalidAddress),
			string(topology.ReasonSuppressed))),
	}
}

// secret is looked up by reference; nil where there is none.
func (p *parser) secret(m *strictyaml.Map, key string) outbound.Secret {
	if !m.Has(key) {
		return nil
	}
	if !m.IsMap(key) {
		m.Fail(key, "a secret does not stand here: say where it is, with {env: VARIABLE} or {file: /run/secrets/NAME}")
		return nil
	}
	return outbound.Fixed(m.Map(key).Secret(p.lookup))
}

// headerSecret is one that a header's value is made of.
func (p *parser) headerSecret(m *strictyaml.Map, key string) outbound.Secret {
	secret := p.secret(m, key)
	if secret != nil && strings.ContainsFunc(secret(), unicode.IsControl) {
		m.Fail(key, "it has a line's end or another control character within, which no header can have")
	}
	return secret
}

func (p *parser) route(routes *strictyaml.Map, key string) {
	channel := topology.Channel(key)
	if !slices.Contains(topology.Channels(), channel) {
		routes.Fail(key, "it is no channel: use email, sms, push or webhook")
		return
	}
	if !routes.Has(key) {
		routes.Fail(key, "it says nothing: name its providers, such as {providers: [ses-1]}, or remove it")
		return
	}
	m := routes.Map(key)
	if m == nil {
		return
	}
	r := Route{Order: failover.Order(m.OneOf("order", string(failover.Failover), string(failover.Failover),
		string(failover.Weighted)))}
	if !m.Has("providers") {
		m.Fail("providers", "it is missing: name the providers, in order")
		return
	}
	if r.Order != failover.Weighted && m.HasMaps("providers") {
		m.Maps("providers")[0].Keys() // they are right, with another order
		m.Fail("order", "it is missing: providers with weights need order: weighted")
		return
	}
	if r.Order == failover.Weighted {
		for _, each := range m.Maps("providers") {
			member := RouteMember{Provider: each.Needed("name", "ses-1"), Weight: each.Int("weight", 1, 1_000_000)}
			if !each.Has("weight") {
				each.Fail("weight", "it is missing: say how much of the messages it gets, such as weight: 1")
			}
			p.addMember(&r, member, channel, func(detail string) { each.Fail("name", detail) })
		}
	} else {
		for _, name := range m.Texts("providers") {
			p.addMember(&r, RouteMember{Provider: name}, channel, func(detail string) { m.Fail("providers", detail) })
		}
	}
	p.file.Routes[channel] = r
}

func (p *parser) addMember(r *Route, member RouteMember, channel topology.Channel, fail func(string)) {
	if member.Provider == "" {
		return
	}
	var names []string
	for _, d := range p.file.Providers {
		names = append(names, d.Name)
		if d.Name != member.Provider {
			continue
		}
		switch {
		case !slices.Contains(d.Channels, channel):
			fail(d.Name + " does not serve channel " + string(channel) + ": add it to its channels, or remove it here")
		case slices.ContainsFunc(r.Members, func(m RouteMember) bool { return m.Provider == d.Name }):
			fail(d.Name + " is there twice: remove one")
		default:
			r.Members = append(r.Members, member)
		}
		return
	}
	fail("there is no provider " + strconv.Quote(member.Provider) + wording.DidYouMean(member.Provider, names))
}

// defaultRoutes takes a channel's providers in the order of the file where no
// route says otherwise.
func (p *parser) defaultRoutes() {
	for _, channel := range topology.Channels() {
		if _, ok := p.file.Routes[channel]; ok {
			continue
		}
		r := Route{Order: failover.Failover}
		for _, d := range p.file.Providers {
			if slices.Contains(d.Channels, channel) {
				r.Members = append(r.Members, RouteMember{Provider: d.Name})
			}
		}
		if len(r.Members) > 0 {
			p.file.Routes[channel] = r
		}
	}
}
