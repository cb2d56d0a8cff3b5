package providerfile

import (
	"cmp"
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
// URL: whatever is spelt wrong may be a piece of the password. The password is that of the
// URL at the moment.
func (f *File) AddMailServer(current func() string) error {
	if _, taken := f.Routes[topology.Email]; taken {
		return errors.New("the providers' file has providers of e-mail, too: use one of them")
	}
	u, err := url.Parse(current())
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
	c.Password = func() string {
		u, err := url.Parse(current())
		if err != nil {
			return ""
		}
		password, _ := u.User.Password()
		return password
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
	refuse := func(is bool, why string) {
		if is {
			faults = append(faults, errors.New(why))
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	refuse(err != nil || u.Fragment != "" || (u.Path != "" && u.Path != "/") || u.Opaque != "",
		"behind the host there can only be ?from=…&from_name=…&hello=…&server_name=…&tls=…, with special characters as %XX")
	for name := range query {
		refuse(!slices.Contains([]string{"from", "from_name", "hello", "server_name", "tls"}, name),
			"it has a parameter other than from, from_name, hello, server_name and tls")
	}
	password, _ := u.User.Password()
	c := smtp.Config{
		Name: mailServerName, Host: u.Hostname(), From: query.Get("from"), FromName: query.Get("from_name"),
		Hello: query.Get("hello"), ServerName: query.Get("server_name"), Username: u.User.Username(),
		Security: smtp.Security(cmp.Or(query.Get("tls"), string(smtp.StartTLS))),
	}
	ports := map[smtp.Security]int{smtp.StartTLS: 587, smtp.StartTLSIfOffered: 25, smtp.NoTLS: 25}
	refuse(u.Scheme != "smtp" && u.Scheme != "smtps", "it must begin with smtp:// or smtps://")
	if c.Port = ports[c.Security]; u.Scheme == "smtps" {
		refuse(query.Get("tls") != "", "smtps:// is TLS from the first byte: remove tls, or write smtp://")
		c.Security, c.Port = smtp.ImplicitTLS, 465
	}
	refuse(c.Port == 0, "tls must be none, starttls or starttls-if-offered; smtps:// is TLS from the first byte")
	refuse(c.Username != "" && c.Security == smtp.NoTLS && !outbound.IsLoopback(c.Host),
		"user and password are not sent without encryption: remove tls=none")
	if port := u.Port(); port != "" {
		c.Port, err = strconv.Atoi(port)
		refuse(err != nil || c.Port < 1 || c.Port > 65535, "the port must be from 1 to 65535")
	}
	refuse(c.Host == "", "it has no host")
	refuse(c.From == "", "it has no sender: add ?from=shop@example.com")
	refuse((c.Username == "") != (password == ""), "user and password belong together: give both or neither")
	return c, errors.Join(faults...)
}
