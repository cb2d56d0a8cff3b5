package roles

import (
	"strings"
	"testing"
)

func TestNoticesFile(t *testing.T) {
	lookup := func(name string) (string, bool) {
		return "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", name == "S"
	}
	for text, want := range map[string]string{
		"webhooks:\n  - {name: crm, url: https://crm.example.com/x, secrets: [{env: S}]}\n":                                                "",
		"webhooks:\n  - {name: crm, url: https://crm.example.com/x, types: [order], statuses: [sent], timeout: 2s, secrets: [{env: S}]}\n": "",
		"": "the file is empty", "hooks: []\n": "webhooks: there are none",
		"webhooks:\n  - {name: crm, url: https://crm.example.com/x}\n":                                                                           "secrets: there are none",
		"webhooks:\n  - {name: a, url: https://a.example/, secrets: [{env: S}]}\n  - {name: b, url: https://b.example/, secrets: [{env: S}]}\n":  "is that of a.example, too",
		"webhooks:\n  - {name: a, url: https://a.example/, secrets: [{env: S}]}\n  - {name: b, url: https://a.example/b, secrets: [{env: S}]}\n": "",
		"webhooks:\n  - {name: crm, url: crm, secrets: [{env: S}]}\n":                                                                            "must begin with https://",
		"webhooks:\n  - {name: crm, url: https://a.example/, statuses: [send], secrets: [{env: S}]}\n":                                           `"send" is no status`,
		"webhooks:\n  - {name: crm, url: https://a.example/, secrets: [{env: T}]}\n":                                                             "T is not set",
		"webhooks:\n  - {name: crm, url: https://a.example/, secret: x, secrets: [{env: S}]}\n":                                                  "did you mean secrets?",
		"webhooks:\n  - {name: a, url: https://a.example/, secrets: [{env: S}]}\n  - {name: a, url: https://a.example/, secrets: [{env: S}]}\n":  "is there already",
	} {
		webhooks, err := parseWebhooks("notices.yaml", text, lookup)
		switch {
		case want == "" && (err != nil || len(webhooks) == 0):
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
