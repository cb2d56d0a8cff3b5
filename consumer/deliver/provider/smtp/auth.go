package smtp

import (
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// mechanisms by preference. XOAUTH2 is used only when it is asked for.
var mechanisms = []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"}

const mechanismOAuth = "XOAUTH2"

func knownMechanism(name string) bool {
	return name == "" || name == mechanismOAuth || slices.Contains(mechanisms, name)
}

var (
	errNoTLSOffered     = errors.New("the server does not offer STARTTLS")
	errNoMechanism      = errors.New("the server does not offer the authentication that is wanted")
	errOpenConnection   = errors.New("the connection is not encrypted, so the credentials are kept back")
	errNotInternational = errors.New("the server does not take addresses with letters outside ASCII")
)

// authenticate logs in, where there are credentials.
func (s *Provider) authenticate(client *smtp.Client) *failure {
	if s.config.Username == "" {
		return nil
	}
	_, offer := client.Extension("AUTH")
	mechanism := chooseMechanism(s.config.Mechanism, strings.Fields(offer))
	_, encrypted := client.TLSConnectionState()
	switch {
	case mechanism == "":
		return &failure{stage: stageAuth, err: errNoMechanism}
	case !encrypted && !isLoopback(s.config.Host):
		return &failure{stage: stageAuth, err: errOpenConnection}
	}
	if err := client.Auth(s.mechanism(mechanism)); err != nil {
		return &failure{stage: stageAuth, err: err}
	}
	return nil
}

// chooseMechanism is the wanted one if it is offered, or else the best that is.
func chooseMechanism(wanted string, offered []string) string {
	candidates := mechanisms
	if wanted != "" {
		candidates = []string{wanted}
	}
	for _, name := range candidates {
		if slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) }) {
			return name
		}
	}
	return ""
}

// mechanism makes the client's side of an authentication. That the line is
// safe has been looked at before.
func (s *Provider) mechanism(name string) smtp.Auth {
	c := &s.config
	switch name {
	case "SCRAM-SHA-256":
		return smtp.ScramSHA256Auth(c.Username, c.Password)
	case "LOGIN":
		return smtp.LoginAuth(c.Username, c.Password, c.Host, true)
	case "CRAM-MD5":
		return smtp.CRAMMD5Auth(c.Username, c.Password)
	case mechanismOAuth:
		return smtp.XOAuth2Auth(c.Username, c.Password)
	}
	return smtp.PlainAuth("", c.Username, c.Password, c.Host, true)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
