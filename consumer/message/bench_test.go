package message_test

import (
	"testing"

	"github.com/meddela/meddela/consumer/message"
)

func BenchmarkCompile(b *testing.B) {
	r := record(map[string]string{
		message.EmailSubject: "Order {{.ctx.order.number}}",
		message.EmailText:    "Hi {{.ctx.firstName}}, {{.ctx.order.total}} {{.ctx.order.currency}}",
		message.EmailHTML:    `<p>Hi {{.ctx.firstName}}, <a href="{{.ctx.url}}">{{.ctx.order.total}} {{.ctx.order.currency}}</a></p>`,
	}, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Compile(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderSMS(b *testing.B) {
	tmpl, err := message.Compile(record(map[string]string{message.SMSText: "Your code is {{.ctx.code}}. It is valid for {{.ctx.minutes}} minutes."}, nil))
	if err != nil {
		b.Fatal(err)
	}
	ev := event(`{"code":"123456","minutes":5}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(ev, "en"); err != nil {
			b.Fatal(err)
		}
	}
}
