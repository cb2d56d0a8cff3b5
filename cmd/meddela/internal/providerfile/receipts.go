package providerfile

import (
	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/receive"
)

// Sources are the providers that send receipts.
func (f *File) Sources() (sources []receive.Source) {
	for i := range f.Providers {
		if s := f.Providers[i].Receipts; s != nil {
			sources = append(sources, *s)
		}
	}
	return sources
}

// wantsRefs reports whether messages of a provider carry a reference for its receipts.
func (d *Definition) wantsRefs() bool { return d.Receipts != nil || d.SMTP.Bounces != "" }

func (p *parser) receipts(m *strictyaml.Map, d *Definition) *receive.Source {
	before := m.Faulty()
	s := &receive.Source{
		Provider: d.Name, Each: m.Text("each"), Ref: m.Needed("ref", "$.metadata.ref"), Address: m.Text("address"),
		MessageID: m.Text("message_id"), Code: m.Text("code"), At: m.Text("at"),
	}
	if len(d.Channels) > 0 {
		s.Channel = d.Channels[0]
	}
	if len(d.Channels) > 1 {
		m.Fail("ref", "receipts are about one channel: make a provider of each channel")
	}
	m.Needs("verify", "say how to tell that they are the provider's, such as {scheme: token, secret: {env: RECEIPTS_TOKEN}}")
	if v := m.Map("verify"); v != nil {
		schemes := wording.Texts(receive.Schemes())
		v.Needs("secret", "say where it is, such as secret: {file: /run/secrets/receipts}")
		s.Verify = receive.Verify{Scheme: receive.Scheme(v.OneOf("scheme", "", schemes...)), Secret: p.secret(v, "secret"),
			Header: v.Text("header"), URL: v.Text("url")}
	}
	m.Needs("rules", "say what they mean, such as [{when: {$.event: delivered}, means: delivered}]")
	for _, each := range m.Maps("rules") {
		each.Needs("when", "name a value, such as when: {$.event: delivered}")
		each.Needs("means", "say "+wording.OrList(wording.Texts(receive.Meanings())))
		s.Rules = append(s.Rules, receive.Rule{When: each.TextMap("when"),
			Means: receive.Meaning(each.OneOf("means", "", wording.Texts(receive.Meanings())...))})
	}
	if err := s.Check(); err != nil && m.Faulty() == before {
		m.Fail("rules", err.Error())
	}
	return s
}
