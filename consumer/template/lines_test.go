package template_test

import (
	"slices"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// TestUnsubscribeAndAttachments: their parts are rendered like others, line by
// line.
func TestUnsubscribeAndAttachments(t *testing.T) {
	const ctx = `{"id":"42","name":"a b/c?d&e","evil":"x\r\nhttps://evil.example/","lf":"1.pdf a.pdf\nhttps://files/x",` +
		`"up":"../other/secret","dots":"..","whole":"https://files.example.com/a/b.pdf?c=d"}`
	for name, test := range map[string]struct {
		part, text  string
		ok          bool
		unsubscribe template.Unsubscribe
		files       []template.Attachment
	}{
		"both ways": {
			template.EmailUnsubscribe, "https://shop.example.com/u/{{.ctx.id}}\nstop@example.com\n", true,
			template.Unsubscribe{URL: "https://shop.example.com/u/42", Mailto: "stop@example.com"}, nil,
		},
		"none":          {template.EmailUnsubscribe, "{{if .ctx.id}}{{end}}\n", true, template.Unsubscribe{}, nil},
		"not encrypted": {template.EmailUnsubscribe, "http://shop.example.com/", false, template.Unsubscribe{}, nil},
		"two URLs": {template.EmailUnsubscribe, "https://a.example/\nhttps://b.example/", false, template.Unsubscribe{},
			nil},
		"no address": {template.EmailUnsubscribe, "stop", false, template.Unsubscribe{}, nil},
		"a file": {
			template.EmailAttachments, "https://files.example.com/i/{{.ctx.id}} invoice " +
				"{{.ctx.id}}.pdf\n\nhttps://files.example.com/terms.pdf terms.pdf", true,
			template.Unsubscribe{}, []template.Attachment{
				{Name: "invoice 42.pdf", URL: "https://files.example.com/i/42"},
				{Name: "terms.pdf", URL: "https://files.example.com/terms.pdf"},
			},
		},
		"values are escaped by where they stand": {
			template.EmailAttachments, "https://files.example.com/i/{{.ctx.name}}/f?q={{.ctx.name}} {{.ctx.id}} b.pdf", true,
			template.Unsubscribe{}, []template.Attachment{
				{Name: "42 b.pdf", URL: "https://files.example.com/i/a%20b%2Fc%3Fd&e/f?q=a%20b%2Fc%3Fd%26e"},
			},
		},
		"values that are links": {
			template.EmailAttachments, "{{.ctx.whole}} a.pdf\n{{link .ctx.whole \"e\" .ctx.name}} b.pdf\n" +
				"https://files.example.com/?q={{urlquery .ctx.name}} c.pdf", true,
			template.Unsubscribe{}, []template.Attachment{
				{Name: "a.pdf", URL: "https://files.example.com/a/b.pdf?c=d"},
				{Name: "b.pdf", URL: "https://files.example.com/a/b.pdf?c=d&e=a%20b%2Fc%3Fd%26e"},
				{Name: "c.pdf", URL: "https://files.example.com/?q=a+b%2Fc%3Fd%26e"},
			},
		},
		"another line": {template.EmailAttachments, "https://files.example.com/i/{{.ctx.lf}} a.pdf", false,
			template.Unsubscribe{}, nil},
		"another line, in the name": {template.EmailAttachments, "https://files.example.com/i/1 {{.ctx.lf}}.pdf", false,
			template.Unsubscribe{}, nil},
		"another way": {template.EmailUnsubscribe, "https://shop.example.com/u/{{.ctx.evil}}", false,
			template.Unsubscribe{}, nil},
		"another's folder": {template.EmailAttachments, "https://files.example.com/inv/{{.ctx.up}} a.pdf", false,
			template.Unsubscribe{}, nil},
		"another's folder, by dots": {template.EmailAttachments, "https://files.example.com/inv/{{.ctx.dots}}/x a.pdf", false,
			template.Unsubscribe{}, nil},
		"another's folder, escaped": {template.EmailAttachments, "https://files.example.com/inv/%2E%2e%5cx a.pdf", false,
			template.Unsubscribe{}, nil},
		"no name": {template.EmailAttachments, "https://files.example.com/i/1", false, template.Unsubscribe{}, nil},
		"a path": {template.EmailAttachments, "https://files.example.com/i/1 ../../etc/passwd", false,
			template.Unsubscribe{}, nil},
		"another file": {template.EmailAttachments, "file:///etc/passwd passwd", false, template.Unsubscribe{}, nil},
		"a login in it": {template.EmailAttachments, "https://kim:secret@files.example.com/ a.pdf", false,
			template.Unsubscribe{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, err := template.Compile(topology.TemplateRecord{
				Name: "greeting", Version: "1", Types: []string{"greeting"}, Channel: topology.Email, DefaultLanguage: "en",
				Bodies: map[string]map[string]string{"en": {template.EmailSubject: "Hello", template.EmailText: "Hello",
					test.part: test.text}},
			})
			if err != nil {
				if test.ok {
					t.Fatal(err)
				}
				return
			}
			m, err := compiled.Render(&topology.Event{ID: "e-1", Type: "greeting", Channel: topology.Email,
				To: "kim@example.com", Ctx: []byte(ctx)}, "en")
			if (err == nil) != test.ok {
				t.Fatalf("%v", err)
			}
			if err == nil && (m.Unsubscribe != test.unsubscribe || !slices.Equal(m.Attachments, test.files)) {
				t.Errorf("%+v %+v", m.Unsubscribe, m.Attachments)
			}
		})
	}
}
