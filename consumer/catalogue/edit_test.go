package catalogue

import (
	"fmt"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func record(i int) topology.Record {
	r := topology.TemplateRecord{
		Name: fmt.Sprintf("template_%d", i), Version: "1", Types: []string{fmt.Sprintf("type_%d", i)},
		Channel: topology.Email, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": {
			template.EmailSubject: "Order {{.ctx.order.number}}",
			template.EmailText:    "Hi {{.ctx.firstName}}, {{.ctx.order.total}} {{.ctx.order.currency}}",
			template.EmailHTML:    `<p>Hi {{.ctx.firstName}}, <a href="{{.ctx.url}}">{{.ctx.order.total}} {{.ctx.order.currency}}</a></p>`,
		}},
	}
	return topology.Record{Offset: int64(i), Key: []byte(r.Ref()), Value: r.Append(nil)}
}

// An edit must not copy what it does not touch.
func TestAnEditIsSmall(t *testing.T) {
	cost := func(n int) float64 {
		e := new(Catalogue).edit()
		for i := range n {
			e.put(&Entry{ref: topology.TemplateRef(fmt.Sprint(i, "@1")),
				record: topology.TemplateRecord{Name: fmt.Sprint(i), Types: []string{fmt.Sprint(i)}}})
		}
		c := e.done()
		one := &Entry{ref: "new@1", record: topology.TemplateRecord{Name: "new", Types: []string{"new"}}}
		return testing.AllocsPerRun(10, func() {
			e := c.edit()
			e.put(one)
			e.done()
		})
	}
	if few, many := cost(10), cost(10_000); many > 4*few {
		t.Errorf("a change costs %.0f allocations in a catalogue of 10 and %.0f in one of 10,000", few, many)
	}
}

func BenchmarkApplyOne(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("templates=%d", n), func(b *testing.B) {
			c := new(Catalogue)
			e := c.edit()
			for i := range n {
				decoded := decode(new(record(i)))
				if decoded.err != nil {
					b.Fatal(decoded.err)
				}
				e.put(decoded.entry)
			}
			c = e.done()
			next := []topology.Record{record(n)}
			b.ReportAllocs()
			for b.Loop() {
				e := c.edit()
				e.put(decodeAll(next)[0].entry)
				e.done()
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	const n = 10_000
	records := make([]topology.Record, n)
	for i := range records {
		records[i] = record(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		e := new(Catalogue).edit()
		for _, decoded := range decodeAll(records) {
			e.put(decoded.entry)
		}
		e.done()
	}
}
