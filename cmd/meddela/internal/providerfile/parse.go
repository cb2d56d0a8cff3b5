package providerfile

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/meddela/meddela/cmd/meddela/internal/fresh"
	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
	"github.com/meddela/meddela/consumer/receive"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/nearest"
)

// Parse reads a file's text. Secrets are looked up by the references in it: in
// the environment, by lookup, or in files. The error is faults.List.
func Parse(name, text string, lookup func(string) (string, bool)) (*File, error) {
	p := &parser{lookup: lookup, file: &File{Routes: make(map[topology.Channel]Route)}, signing: make(Signing)}
	err := strictyaml.Read(name, text, func(top *strictyaml.Map) {
		if !top.Has("providers") {
			top.Fail("providers", "there are none: add a list of them")
		}
		for _, each := range top.Maps("providers") {
			p.provider(each)
		}
		if routes := top.Map("routes"); routes != nil {
			for _, key := range routes.Keys() {
				p.route(routes, key)
			}
		}
		p.defaultRoutes()
	})
	return p.file, err
}

type parser struct {
	lookup  func(string) (string, bool)
	file    *File
	signing Signing
}

func (p *parser) provider(m *strictyaml.Map) {
	d := Definition{Name: m.Name("ses-1")}
	if p.file.index(d.Name) >= 0 {
		m.Fail("name", strconv.Quote(d.Name)+" is there already: give each provider a name of its own")
	}
	d.Kind = Kind(m.OneOf("kind", "", string(SMTP), string(HTTP), string(Sandbox)))
	m.Needs("kind", "say smtp, http or sandbox")
	d.Channels = p.channels(m, d.Kind)
	d.Timeout = m.Duration("timeout", 10*time.Millisecond, 9*time.Second)
	d.Concurrency = m.Int("concurrency", 1, 10_000)
	if limit := m.Map("limit"); limit != nil {
		d.Limit = limitOf(limit)
	}
	if b := m.Map("breaker"); b != nil {
		d.Breaker = failover.Breaker{Failures: b.Int("failures", 1, 1_000_000),
			Open: b.Duration("open", 100*time.Millisecond, time.Hour)}
	}
	for _, kind := range []Kind{SMTP, HTTP} {
		section, before := m.Map(string(kind)), m.Faulty()
		switch {
		case section == nil && d.Kind == kind:
			m.Fail(string(kind), "it is missing: a provider of this kind needs it")
		case section != nil && d.Kind != kind:
			section.Keys() // they may be right, elsewhere
			if d.Kind != "" {
				m.Fail(string(kind), "it does not belong to a provider of kind "+string(d.Kind)+": remove it")
			}
		case section != nil && kind == SMTP:
			d.SMTP = p.smtp(section, &d)
			if _, err := smtp.New(d.SMTP); err != nil && m.Faulty() == before {
				m.Fail("smtp", strings.TrimPrefix(err.Error(), "smtp: "))
			}
		case section != nil:
			d.HTTP = p.http(section, &d)
			if _, err := httpapi.New(d.HTTP); err != nil {
				m.Fail("http", err.Error())
			}
		}
	}
	if section := m.Map("receipts"); section != nil {
		if d.Receipts = p.receipts(section, &d); d.Receipts.Verify.Scheme == receive.Token {
			d.HTTP.Token = d.Receipts.Verify.Secret
		}
	}
	p.file.Providers = append(p.file.Providers, d)
}

func (p *parser) channels(m *strictyaml.Map, kind Kind) (channels []topology.Channel) {
	m.Needs("channels", "say channels: [email]")
	for _, name := range m.Texts("channels") {
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

func limitOf(m *strictyaml.Map) Limit {
	l := Limit{m.Number("rate", 0.001, 1_000_000), m.Int("concurrency", 1, 1_000_000), m.Number("reserve", 0, 0.99)}
	switch {
	case !m.Has("rate") && !m.Has("concurrency"):
		m.Fail("rate", "a limit needs a rate (messages a second), a concurrency (messages at once), or both")
	case l.AtOnce > 0 && int(float64(l.AtOnce)*(1-l.Reserve)+1e-9) < 1:
		m.Fail("reserve", "it leaves the batch lane none of the concurrency: lower it")
	}
	return l
}

// plainHost is a host's name without scheme, port and path.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

func (p *parser) smtp(m *strictyaml.Map, d *Definition) smtp.Config {
	host, port, err := net.SplitHostPort(m.Needed("addr", "mail.example.com:587"))
	number, _ := strconv.Atoi(port)
	if m.Has("addr") && (err != nil || host == "" || number < 1 || number > 65535) {
		m.Fail("addr", "it must be host:port, such as mail.example.com:587")
	}
	c := smtp.Config{
		Name: d.Name, Timeout: d.Timeout, Concurrency: d.Concurrency, Host: host, Port: number,
		From: m.Needed("from", "shop@example.com"), FromName: m.Text("from_name"), ReplyTo: m.Text("reply_to"),
		Hello: m.Text("hello"), TLS: authorities(m), ServerName: m.Text("server_name"),
		Security: smtp.Security(m.OneOf("tls", string(smtp.StartTLS),
			string(smtp.NoTLS), string(smtp.StartTLS), string(smtp.StartTLSIfOffered), string(smtp.ImplicitTLS))),
		Username: m.Text("username"), Password: p.secret(m, "password"), Token: p.oauth2(m), Mechanism: m.Text("mechanism"),
		MaxMessages: m.Int("max_messages", 1, 1_000_000), Bounces: m.Text("bounces"),
	}
	switch {
	case !m.Has("username") && m.Has("password"):
		m.Fail("password", "it needs a username beside it")
	case m.Has("username") && !m.Has("password") && !m.Has("oauth2"):
		m.Fail("username", "it needs a password beside it, such as password: {file: /run/secrets/password}, or oauth2")
	}
	for _, each := range m.Maps("answers") {
		c.Answers = append(c.Answers, smtp.Rule{
			At: each.OneOf("at", "", smtp.Places()...), Code: each.Text("code"), Enhanced: each.Text("enhanced"),
			Text: each.Text("text"), Verdict: verdictOf(each), Reason: reasonOf(each),
			RetryAfter: each.Duration("retry_after", time.Second, 24*time.Hour),
		})
	}
	if dkim := m.Map("dkim"); dkim != nil {
		dkim.Needs("key", "say where it is, such as key: {file: /run/secrets/key}")
		c.DKIM = smtp.DKIM{Domain: dkim.Needed("domain", "example.com"), Selector: dkim.Needed("selector", "s1"),
			Key: p.secret(dkim, "key"), Headers: dkim.Texts("headers")}
	}
	if files := m.Map("attachments"); files != nil {
		files.Needs("hosts", "name the hosts that files may be fetched from")
		c.Attachments = smtp.Attachments{Hosts: files.Texts("hosts"), MaxBytes: files.Int("max_bytes", 1, 50<<20)}
		for _, host := range c.Attachments.Hosts {
			if !plainHost.MatchString(host) {
				files.Fail("hosts", strconv.Quote(host)+" must be a host's name alone, such as files.example.com")
			}
		}
	}
	return c
}

// authorities are those of ca_file at the moment, instead of the system's; nil without it.
func authorities(m *strictyaml.Map) func() *tls.Config {
	name := m.Text("ca_file")
	if name == "" {
		return nil
	}
	current, err := fresh.Value(func() (*tls.Config, error) {
		pool, err := fresh.Authorities(name)
		return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, err
	})
	if err != nil {
		m.Fail("ca_file", "it "+err.Error())
	}
	return current
}

func (p *parser) http(m *strictyaml.Map, d *Definition) httpapi.Config {
	c := httpapi.Config{
		Name: d.Name, Timeout: d.Timeout, Concurrency: d.Concurrency,
		Method: m.OneOf("method", "POST", "POST", "PUT", "PATCH", "GET"),
		URL:    m.Text("url"), Hosts: m.Texts("hosts"), Headers: m.TextMap("headers"), Body: m.Text("body"),
		Idempotent: m.Bool("idempotent"), IdempotencyHeader: m.Text("idempotency_header"),
		KeyPerAttempt: m.OneOf("idempotency_key", "job", "job", "attempt") == "attempt",
		MessageID:     m.Text("message_id"), AllowPrivate: m.Bool("allow_private"),
	}
	if slices.ContainsFunc(d.Channels, func(c topology.Channel) bool { return c != topology.Webhook }) {
		m.Needs("url", "only a webhook's template names its own target")
	}
	if auth := m.Map("auth"); auth != nil {
		c.Auth = httpapi.Auth{
			Bearer: p.headerSecret(auth, "bearer"), Username: auth.Text("username"), Password: p.secret(auth, "password"),
			Header: auth.Text("header"), Key: p.headerSecret(auth, "key"), Token: p.token(auth),
		}
	}
	host := ""
	if target, err := url.Parse(c.URL); err == nil && c.URL != "" {
		host = target.Host
	} else if len(c.Hosts) == 1 {
		host = strings.ToLower(c.Hosts[0])
	}
	c.Sign = p.signing.Secrets(m, "sign", host, p.lookup)
	for _, each := range m.Maps("answers") {
		c.Rules = append(c.Rules, ruleOf(each))
	}
	return c
}

// token is how a provider's tokens are got; nil where they are not.
func (p *parser) token(auth *strictyaml.Map) (kind token.Kind) {
	kind = p.oauth2(auth)
	if m := auth.Map("google"); m != nil {
		m.Needs("scopes", "say what for, such as scopes: [https://www.googleapis.com/auth/firebase.messaging]")
		if m.Needs("credentials", "say where they are, such as credentials: {file: /run/secrets/account.json}") {
			before, credentials := m.Faulty(), p.secret(m, "credentials")
			if m.Faulty() == before { // else it is told already
				kind = token.Google{Credentials: credentials, Scopes: m.Texts("scopes")}
			}
		}
	}
	if m := auth.Map("apns"); m != nil {
		a := token.APNs{KeyID: m.Needed("key_id", "ABC123DEFG"), TeamID: m.Needed("team_id", "DEF123GHIJ")}
		if m.Needs("key", "say where it is, such as key: {file: /run/secrets/apns.p8}") {
			before := m.Faulty()
			if a.Key = p.secret(m, "key"); m.Faulty() == before {
				kind = a
			}
		}
	}
	return kind
}

func (p *parser) oauth2(auth *strictyaml.Map) token.Kind {
	m := auth.Map("oauth2")
	if m == nil {
		return nil
	}
	m.Needs("client_secret", "say where it is, such as client_secret: {file: /run/secrets/client}")
	return token.OAuth2{TokenURL: m.Needed("token_url", "https://auth.example.com/token"),
		ClientID: m.Needed("client_id", "shop"), ClientSecret: p.secret(m, "client_secret"), Scopes: m.Texts("scopes"),
		Audience: m.Text("audience")}
}

// Signing has the host that each secret to sign with is of: who shares one could replay to another what it gets.
type Signing map[string]string

// Secrets are those of a list, by host: the one that is given, or what each says.
func (s Signing) Secrets(m *strictyaml.Map, key, host string,
	lookup func(string) (string, bool)) map[string][]outbound.Secret {
	all := make(map[string][]outbound.Secret)
	for _, each := range m.Maps(key) {
		host := host
		if host == "" {
			host = strings.ToLower(each.Text("host"))
		}
		value, current := each.Secret(lookup)
		other, known := s[value]
		switch _, err := outbound.NewSigner(outbound.Fixed(value)); {
		case value == "": // which has been told
		case err != nil:
			m.Fail(key, err.Error())
		case known && other != host:
			m.Fail(key, fmt.Sprintf("a secret of %s is that of %s, too, and either could replay to the other what it gets: "+
				"give each one of its own", host, other))
		default:
			s[value] = host
			all[host] = append(all[host], current)
		}
	}
	return all
}

const unauthorized = "unauthorized" // which is down, for want of valid credentials

var verdicts = []string{"accepted", "skipped", "rejected", "failed", "down", "unknown"}

func ruleOf(m *strictyaml.Map) httpapi.Rule {
	verdict := verdictOf(m, unauthorized)
	r := httpapi.Rule{
		Status: m.Text("status"), Text: m.Text("text"), Headers: m.TextMap("headers"), RetryAfter: m.Text("retry_after"),
		Verdict: verdict, Unauthorized: m.Text("verdict") == unauthorized, Reason: reasonOf(m),
	}
	switch {
	case m.IsMap("json"):
		r.JSON = make(map[string][]string)
		values := m.Map("json")
		for _, path := range values.Keys() {
			r.JSON[path] = values.Texts(path)
		}
	case m.Has("json"):
		r.JSON = map[string][]string{m.Text("json"): m.Texts("equals")}
		return r
	}
	if m.Has("equals") {
		m.Fail("equals", "it needs the path of one value beside it, such as json: $.code")
	}
	return r
}

// verdictOf is the verdict of a rule; Down where it is one of the words that are more of a kind of provider.
func verdictOf(m *strictyaml.Map, more ...string) provider.Verdict {
	words := slices.Concat(verdicts, more)
	m.Needs("verdict", "say "+strings.Join(words, ", "))
	word := m.OneOf("verdict", verdicts[0], words...)
	for _, verdict := range provider.Verdicts() {
		if verdict.String() == word {
			return verdict
		}
	}
	return provider.Down
}

func reasonOf(m *strictyaml.Map) topology.Reason {
	return topology.Reason(m.OneOf("reason", "", string(topology.ReasonInvalidAddress),
		string(topology.ReasonSuppressed)))
}

// secret is what a key refers to; nil where there is none.
func (p *parser) secret(m *strictyaml.Map, key string) outbound.Secret {
	switch {
	case m.IsMap(key):
		_, current := m.Map(key).Secret(p.lookup)
		return current
	case m.Has(key):
		m.Fail(key, "a secret does not stand here: say where it is, with {env: VARIABLE} or {file: /run/secrets/NAME}")
	}
	return nil
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
	switch {
	case !m.Needs("providers", "name the providers, in order"):
		return
	case r.Order == failover.Weighted:
		for _, each := range m.Maps("providers") {
			member := RouteMember{Provider: each.Needed("name", "ses-1"), Weight: each.Int("weight", 1, 1_000_000)}
			each.Needs("weight", "say how much of the messages it gets, such as weight: 1")
			p.addMember(&r, member, channel, each, "name")
		}
	case m.HasMaps("providers"):
		m.Maps("providers")[0].Keys() // they are right, with another order
		m.Fail("order", "it is missing: providers with weights need order: weighted")
		return
	default:
		for _, name := range m.Texts("providers") {
			p.addMember(&r, RouteMember{Provider: name}, channel, m, "providers")
		}
	}
	p.file.Routes[channel] = r
}

// addMember adds a provider to a route, or says what is wrong with the key that names it.
func (p *parser) addMember(r *Route, member RouteMember, channel topology.Channel, m *strictyaml.Map, key string) {
	name, i := member.Provider, p.file.index(member.Provider)
	switch {
	case name == "":
	case i < 0:
		var names []string
		for _, d := range p.file.Providers {
			names = append(names, d.Name)
		}
		m.Fail(key, "there is no provider "+strconv.Quote(name)+nearest.DidYouMean(name, names))
	case !slices.Contains(p.file.Providers[i].Channels, channel):
		m.Fail(key, name+" does not serve channel "+string(channel)+": add it to its channels, or remove it here")
	case slices.ContainsFunc(r.Members, func(m RouteMember) bool { return m.Provider == name }):
		m.Fail(key, name+" is there twice: remove one")
	default:
		r.Members = append(r.Members, member)
	}
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
