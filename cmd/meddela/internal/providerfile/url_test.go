package providerfile

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

func TestMailServerOfAURL(t *testing.T) {
	for text, want := range map[string]smtp.Config{
		"smtp://mail.example.com?from=shop@example.com": {
			Host: "mail.example.com", Port: 587, Security: smtp.StartTLS, From: "shop@example.com",
		},
		"smtps://kim:p%40ss%3F@mail.example.com/?from=shop@example.com&from_name=The+Shop": {
			Host: "mail.example.com", Port: 465, Security: smtp.ImplicitTLS, Username: "kim", Password: outbound.Fixed("p@ss?"),
			From: "shop@example.com", FromName: "The Shop",
		},
		"smtp://mail.mail.svc?from=shop@example.com&hello=pods.example.com&server_name=mail.example.com": {
			Host: "mail.mail.svc", Port: 587, Security: smtp.StartTLS, From: "shop@example.com", Hello: "pods.example.com",
			ServerName: "mail.example.com",
		},
		"smtp://[::1]:2525?from=shop@example.com&tls=none": {
			Host: "::1", Port: 2525, Security: smtp.NoTLS, From: "shop@example.com",
		},
		"smtp://mail?from=shop@example.com&tls=starttls-if-offered": {
			Host: "mail", Port: 25, Security: smtp.StartTLSIfOffered, From: "shop@example.com",
		},
	} {
		if want.Password == nil {
			want.Password = outbound.Fixed("")
		}
		var f File
		if err := f.AddMailServer(func() string { return text }); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := f.Providers[0].SMTP
		if got.Name != "smtp" || got.Host != want.Host || got.Port != want.Port || got.Security != want.Security ||
			got.From != want.From || got.Hello != want.Hello || got.ServerName != want.ServerName ||
			got.FromName != want.FromName || got.Username != want.Username || got.Password() != want.Password() {
			t.Errorf("%s is %+v", text, got)
		}
		if f.Routes[topology.Email].Names() != "smtp" {
			t.Errorf("%s: the route is %+v", text, f.Routes[topology.Email])
		}
	}
}

// TestFaultsOfAURL: each says what to do, and none shows a piece of the password,
// which may be anywhere in a URL that is spelt wrong.
func TestFaultsOfAURL(t *testing.T) {
	for text, want := range map[string]string{
		"smtp://kim:hunter/2@mail?from=a@example.com":       "it is no URL",
		"smtp://kim:hunter%zz@mail?from=a@example.com":      "it is no URL",
		"smtp://kim:25?hunter2@mail?from=a@example.com":     "it has a parameter other than",
		"smtp://kim:hunter2@mail/hunter?from=a@example.com": "behind the host there can only be",
		"http://kim:hunter2@mail?from=a@example.com":        "it must begin with smtp:// or smtps://",
		"mail.example.com:587":                              "it must begin with smtp:// or smtps://",
		"smtp://kim:hunter2@mail":                           "it has no sender",
		"smtp://kim:hunter2@mail:0?from=a@example.com":      "the port must be from 1 to 65535",
		"smtp://kim@mail?from=a@example.com":                "user and password belong together",
		"smtps://mail?from=a@example.com&tls=none":          "smtps:// is TLS from the first byte",
		"smtp://mail?from=hunter2":                          "from",
		"smtp://?from=a@example.com":                        "it has no host",
		"smtp://kim:hunter2@mail?from=a@b.example&tls=none": "remove tls=none",
	} {
		err := new(File).AddMailServer(func() string { return text })
		switch {
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", text, err, want)
		case strings.Contains(err.Error(), "hunter") && want != "from":
			t.Errorf("%s: the password shows: %v", text, err)
		}
	}
	f := File{Routes: map[topology.Channel]Route{topology.Email: {}}}
	if err := f.AddMailServer(func() string { return "smtp://mail?from=a@example.com" }); err == nil ||
		!strings.Contains(err.Error(), "use one of them") {
		t.Errorf("beside a route: %v", err)
	}
}

// TestNameOfAURLIsTaken: the URL replaces no provider of the file.
func TestNameOfAURLIsTaken(t *testing.T) {
	f := File{Providers: []Definition{{Name: "smtp", Kind: HTTP, Channels: []topology.Channel{topology.SMS}}}}
	err := f.AddMailServer(func() string { return "smtp://mail.example.com?from=shop@example.com" })
	if err == nil || !strings.Contains(err.Error(), "another name") || len(f.Providers) != 1 {
		t.Errorf("error %v, providers %v", err, f.Providers)
	}
}
