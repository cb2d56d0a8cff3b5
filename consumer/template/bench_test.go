package template_test

import (
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// confirmation is an e-mail such as shops send: a list of lines, prices, dates.
func confirmation() topology.TemplateRecord {
	return record(map[string]string{
		template.EmailSubject: "Order {{.ctx.order.number}}",
		template.EmailText: `Hi {{default "friend" .ctx.firstName}},
{{range .ctx.order.lines}}{{.quantity}} x {{.name}}
{{end}}Total {{.ctx.order.total}} {{.ctx.order.currency}}, delivered by {{.ctx.due}}.`,
		template.EmailHTML: `<html><body><p>Hi {{default "friend" .ctx.firstName}},</p><table>{{range ` +
			`.ctx.order.lines}}<tr><td>{{.quantity}}</td><td>{{.name}}</td></tr>{{end}}</table>` +
			`<p>Total {{.ctx.order.total}} {{.ctx.order.currency}}</p><a ` +
			`href="{{.ctx.url}}">{{.ctx.order.number}}</a></body></html>`,
	}, nil)
}

// localConfirmation is the same with the functions that know languages.
func localConfirmation() topology.TemplateRecord {
	r := confirmation()
	r.Bodies["en"][template.EmailText] = `Hi {{default "friend" .ctx.firstName}},
{{range .ctx.order.lines}}{{.quantity}} x {{truncate 40 .name}}
{{end}}{{plural (len .ctx.order.lines) "one" "# line" "other" "# lines"}}, total {{currency .ctx.order.currency .ctx.order.total}}, delivered by {{date "long" .ctx.due "Europe/Stockholm"}}.`
	r.Bodies["en"][template.EmailHTML] = `<html><body><p>Hi {{default "friend" .ctx.firstName}},</p><table>{{range ` +
		`.ctx.order.lines}}<tr><td>{{.quantity}}</td><td>{{truncate 40 .name}}</td></tr>{{end}}</table>` +
		`<p>Total {{currency .ctx.order.currency .ctx.order.total}}, {{date "long" .ctx.due}}</p><a href="{{link ` +
		`.ctx.url "order" .ctx.order.number}}">{{.ctx.order.number}}</a></body></html>`
	return r
}

const confirmed = `{"firstName":"Kim","url":"https://shop.example.com/orders","due":"2026-12-01T18:25:00+02:00",
	"order":{"number":"A-1007","total":"1249.00","currency":"SEK",
	"lines":[{"quantity":1,"name":"Kaffe, mörkrost"},{"quantity":2,"name":"Te"},
	{"quantity":12,"name":"Kopp “Åsa” i stengods"}]}}`

func BenchmarkCompile(b *testing.B) {
	for name, r := range map[string]topology.TemplateRecord{"plain": confirmation(), "localized": localConfirmation()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := template.Compile(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	sms := record(map[string]string{template.SMSText: "Your code is {{.ctx.order.number}}. It is valid for " +
		"{{.ctx.order.total}} minutes."}, nil)
	for name, r := range map[string]topology.TemplateRecord{"sms": sms, "plain": confirmation(),
		"localized": localConfirmation()} {
		b.Run(name, func(b *testing.B) {
			tmpl, err := template.Compile(r)
			if err != nil {
				b.Fatal(err)
			}
			ev := event(confirmed)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Render(ev, "en"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
