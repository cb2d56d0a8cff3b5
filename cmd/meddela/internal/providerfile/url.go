package providerfile

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// mailServerName is that of a mail server that a URL describes.
const mailServerName = "smtp"

// AddMailServer adds the mail server of a URL such as
// smtp://user:password@mail.example.com:587?from=shop@example.com as the one
// provider of e-mail. The error joins all that is wrong, and quotes nothing of the
// URL: whatever is spelt wrong may be a piece of the password.
func (f *File) AddMailServer(text string) error {
	if _, taken := f.Routes[topology.Email]; taken {
		return errors.New("the providers' file has providers of e-mail, too: use one of them")
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("it is no URL: write smtp://user:password@mail.example.com:587?from=shop@example.com," +
			" with every character of user and password that is no letter or digit as %XX")
	}
	if f.index(mailServerName) >= 0 {
		return errors.New("the providers' file has a provider " + mailServerName + " already: give that another name")
	}
	c, err := mailServer(u)
	if err != nil {
		return err
	}
	if _, err = smtp.New(c); err != nil {
		return err
	}
	f.Providers = append(f.Providers, Definition{
		Name: mailServerName, Kind: SMTP, Channels: []topology.Channel{topology.Email}, SMTP: c,
	})
	if f.Routes == nil {
		f.Routes = make(map[topology.Channel]Route)
	}
	f.Routes[topology.Email] = Route{Order: failover.Failover, Members: []RouteMember{{Provider: mailServerName}}}
	return nil
}

func mailServer(u *url.URL) (smtp.Config, error) {
	var faults []error
	wrong := func(what string) { faults = append(faults, errors.New(what)) }
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" || (u.Path != "" && u.Path != "/") || u.Opaque != "" {
		wrong("behind the host there can only be ?from=…&from_name=…&tls=…, with special characters as %XX")
	}
	for name := range query {
		if !slices.Contains([]string{"from", "from_name", "tls"}, name) {
			wrong("it has a parameter other than from, from_name and tls")
		}
	}
	c := smtp.Config{
		Name: mailServerName, Host: u.Hostname(), From: query.Get("from"), FromName: query.Get("from_name"),
		Username: u.User.Username(),
	}
	password, _ := u.User.Password()
	c.Password = outbound.Fixed(password)
	ports := map[smtp.Security]int{smtp.StartTLS: 587, smtp.StartTLSIfOffered: 25, smtp.NoTLS: 25, smtp.ImplicitTLS: 465}
	switch c.Security = smtp.Security(query.Get("tls")); {
	case u.Scheme == "smtps" && c.Security != "":
		wrong("smtps:// is TLS from the first byte: remove tls, or write smtp://")
	case u.Scheme == "smtps":
		c.Security = smtp.ImplicitTLS
	case u.Scheme != "smtp":
		wrong("it must begin with smtp:// or smtps://")
	case c.Security == "":
		c.Security = smtp.StartTLS
	case c.Security == smtp.ImplicitTLS || ports[c.Security] == 0:
		wrong("tls must be none, starttls or starttls-if-offered; smtps:// is TLS from the first byte")
	}
	if c.Username != "" && c.Security == smtp.NoTLS && !outbound.IsLoopback(c.Host) {
		wrong("user and password are not sent without encryption: remove tls=none")
	}
	c.Port = ports[c.Security]
	if port := u.Port(); port != "" {
		if c.Port, err = strconv.Atoi(port); err != nil || c.Port < 1 || c.Port > 65535 {
			wrong("the port must be from 1 to 65535")
		}
	}
	if c.Host == "" {
		wrong("it has no host")
	}
	if c.From == "" {
		wrong("it has no sender: add ?from=shop@example.com")
	}
	if (c.Username == "") != (password == "") {
		wrong("user and password belong together: give both or neither")
	}
	return c, errors.Join(faults...)
}
