package message_test

import (
	"slices"
	"testing"

	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// TestUnsubscribeAndAttachments: their parts are rendered like others, line by
// line.
func TestUnsubscribeAndAttachments(t *testing.T) {
	const ctx = `{"id":"42","name":"a b/c?d&e","evil":"x\r\nhttps://evil.example/"}`
	for name, test := range map[string]struct {
		part, text  string
		ok          bool
		unsubscribe message.Unsubscribe
		files       []message.Attachment
	}{
		"both ways": {
			message.EmailUnsubscribe, "https://shop.example.com/u/{{.ctx.id}}\nstop@example.com\n", true,
			message.Unsubscribe{URL: "https://shop.example.com/u/42", Mailto: "stop@example.com"}, nil,
		},
		"none":          {message.EmailUnsubscribe, "{{if .ctx.id}}{{end}}\n", true, message.Unsubscribe{}, nil},
		"not encrypted": {message.EmailUnsubscribe, "http://shop.example.com/", false, message.Unsubscribe{}, nil},
		"two URLs":      {message.EmailUnsubscribe, "https://a.example/\nhttps://b.example/", false, message.Unsubscribe{}, nil},
		"no address":    {message.EmailUnsubscribe, "stop", false, message.Unsubscribe{}, nil},
		"a file": {
			message.EmailAttachments, "https://files.example.com/i/{{.ctx.id}} invoice {{.ctx.id}}.pdf\n\nhttps://files.example.com/terms.pdf terms.pdf", true,
			message.Unsubscribe{}, []message.Attachment{
				{Name: "invoice 42.pdf", URL: "https://files.example.com/i/42"}, {Name: "terms.pdf", URL: "https://files.example.com/terms.pdf"},
			},
		},
		"no name":       {message.EmailAttachments, "https://files.example.com/i/1", false, message.Unsubscribe{}, nil},
		"a path":        {message.EmailAttachments, "https://files.example.com/i/1 ../../etc/passwd", false, message.Unsubscribe{}, nil},
		"another file":  {message.EmailAttachments, "file:///etc/passwd passwd", false, message.Unsubscribe{}, nil},
		"a login in it": {message.EmailAttachments, "https://kim:secret@files.example.com/ a.pdf", false, message.Unsubscribe{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, err := message.Compile(topology.TemplateRecord{
				Name: "greeting", Version: "1", Types: []string{"greeting"}, Channel: topology.Email, DefaultLanguage: "en",
				Bodies: map[string]map[string]string{"en": {message.EmailSubject: "Hello", message.EmailText: "Hello", test.part: test.text}},
			})
			if err != nil {
				if test.ok {
					t.Fatal(err)
				}
				return
			}
			m, err := compiled.Render(&topology.Event{ID: "e-1", Type: "greeting", Channel: topology.Email, To: "kim@example.com", Ctx: []byte(ctx)}, "en")
			if (err == nil) != test.ok {
				t.Fatalf("%v", err)
			}
			if err == nil && (m.Unsubscribe != test.unsubscribe || !slices.Equal(m.Attachments, test.files)) {
				t.Errorf("%+v %+v", m.Unsubscribe, m.Attachments)
			}
		})
	}
}
