package catalogue

import (
	"fmt"
	"testing"

	"github.com/meddela/meddela/consumer/follow"
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
			ref := topology.TemplateRef(fmt.Sprint(i, "@1"))
			e.put(ref, &Entry{ref: ref, record: topology.TemplateRecord{Name: fmt.Sprint(i), Types: []string{fmt.Sprint(i)}}})
		}
		c := e.done()
		one := &Entry{ref: "new@1", record: topology.TemplateRecord{Name: "new", Types: []string{"new"}}}
		return testing.AllocsPerRun(10, func() {
			e := c.edit()
			e.put(one.ref, one)
			e.done()
		})
	}
	if few, many := cost(10), cost(10_000); many > 4*few {
		t.Errorf("a change costs %.0f allocations in a catalogue of 10 and %.0f in one of 10,000", few, many)
	}
}

func loaded(b *testing.B, n int) *Catalogue {
	e := new(Catalogue).edit()
	for i := range n {
		ref, entry, err := decode(new(record(i)))
		if err != nil {
			b.Fatal(err)
		}
		e.put(topology.TemplateRef(ref), entry)
	}
	return e.done()
}

func BenchmarkApplyOne(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("templates=%d", n), func(b *testing.B) {
			c := loaded(b, n)
			_, entry, err := decode(new(record(n)))
			if err != nil {
				b.Fatal(err)
			}
			change := []follow.Change[Entry]{{Key: string(entry.ref), Value: entry}}
			b.ReportAllocs()
			for b.Loop() {
				c.apply(change)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		loaded(b, 10_000)
	}
}
