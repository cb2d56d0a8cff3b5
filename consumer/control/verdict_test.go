package control_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/topology"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// order is one that was given an hour ago; until is from now on, and never for
// zero.
func order(action topology.ControlAction, subject topology.Subject, until time.Duration) topology.ControlRecord {
	c := topology.ControlRecord{Subject: subject, Action: action, At: now.Add(-time.Hour)}
	if until != 0 {
		c.Until = now.Add(until)
	}
	return c
}

var aJob = topology.Job{Lane: topology.Batch, Channel: topology.SMS, Type: "sale", Template: "spring@1@ab12"}

func TestVerdict(t *testing.T) {
	const pause, kill, resume = topology.Pause, topology.Kill, topology.Resume
	for _, test := range []struct {
		name   string
		orders []topology.ControlRecord
		want   string
	}{
		{"none", nil, ""},
		{"others", []topology.ControlRecord{
			order(kill, "template:spring", 0), order(kill, "template:spring@1@ab12", 0), order(kill, "type:SALE", 0),
			order(kill, "channel:email", 0), order(kill, "provider:other", 0), order(kill, "lane:realtime", 0),
			order(kill, "type:acme", 0), order(kill, "template:sale", 0),
		}, ""},
		{"template", []topology.ControlRecord{order(pause, "template:spring@1", 0)}, "pause template:spring@1"},
		{"type", []topology.ControlRecord{order(pause, "type:sale", 0)}, "pause type:sale"},
		{"channel", []topology.ControlRecord{order(kill, "channel:sms", 0)}, "kill channel:sms"},
		{"provider", []topology.ControlRecord{order(pause, "provider:acme", 0)}, "pause provider:acme"},
		{"lane", []topology.ControlRecord{order(kill, "lane:batch", 0)}, "kill lane:batch"},
		{"resumed", []topology.ControlRecord{order(kill, "lane:batch", 0), order(resume, "lane:batch", 0)}, ""},
		{"paused again", []topology.ControlRecord{order(resume, "lane:batch", 0), order(pause, "lane:batch", 0)},
			"pause lane:batch"},
		{"a resume with an end", []topology.ControlRecord{order(resume, "lane:batch", time.Hour)}, ""},
		{"still", []topology.ControlRecord{order(pause, "type:sale", time.Nanosecond)}, "pause type:sale"},
		{"ended", []topology.ControlRecord{order(pause, "type:sale", -time.Nanosecond)}, ""},
		{"ends now", []topology.ControlRecord{{Subject: "type:sale", Action: pause, Until: now}}, ""},
		{"kill outweighs pause", []topology.ControlRecord{order(pause, "lane:batch", 0),
			order(kill, "type:sale", time.Second)}, "kill type:sale"},
		{"an ended kill does not", []topology.ControlRecord{order(pause, "lane:batch", 0),
			order(kill, "type:sale", -time.Second)}, "pause lane:batch"},
		{"the last to end", []topology.ControlRecord{order(pause, "lane:batch", time.Hour),
			order(pause, "type:sale", 2*time.Hour)}, "pause type:sale"},
		{"the endless", []topology.ControlRecord{order(pause, "lane:batch", time.Hour), order(pause, "type:sale", 0)},
			"pause type:sale"},
		{"the endless first", []topology.ControlRecord{order(pause, "lane:batch", 0), order(pause, "type:sale", time.Hour)},
			"pause lane:batch"},
		{"the broadest", []topology.ControlRecord{order(pause, "template:spring@1", 0), order(pause, "channel:sms", 0)},
			"pause channel:sms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, _ := control.Of(test.orders...).Judge(&aJob, []string{"acme"}, now)
			if got := said(v); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// said is a verdict as text, by all that it can be asked.
func said(v control.Verdict) string {
	switch {
	case v.Paused():
		return "pause " + string(v.Order.Subject)
	case v.Killed():
		return "kill " + string(v.Order.Subject)
	case v == control.Verdict{} && v.Detail() == "":
		return ""
	}
	return fmt.Sprintf("contradictory: %+v", v)
}

func TestDetail(t *testing.T) {
	c := order(topology.Kill, "type:sale", 0)
	for _, test := range []struct{ by, reason, want string }{
		{"", "", "type:sale"},
		{"kim", "", "type:sale, by kim"},
		{"kim", "wrong price", "type:sale, by kim: wrong price"},
		{"", "wrong price", "type:sale: wrong price"},
	} {
		c.By, c.Reason = test.by, test.reason
		if got := (control.Verdict{Order: &c}).Detail(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestAJobWithoutAProvider(t *testing.T) {
	o := control.Of(order(topology.Pause, "provider:acme", 0))
	if v, _ := o.Judge(&aJob, nil, now); said(v) != "" {
		t.Errorf("while no provider is chosen: %s", said(v))
	}
	if got := said(o.About(topology.SubjectProvider, "acme", now)); got != "pause provider:acme" {
		t.Errorf("about the provider: %q", got)
	}
	for _, kind := range append(topology.SubjectKinds(), "country") {
		if got := said(o.About(kind, "other", now)); got != "" {
			t.Errorf("about another %s: %q", kind, got)
		}
	}
}

var (
	genSubject = rapid.SampledFrom([]topology.Subject{
		"template:a", "template:b", "type:a", "type:b", "channel:sms", "channel:email", "provider:a", "lane:batch",
		"lane:realtime",
	})
	genOrder = rapid.Custom(func(t *rapid.T) topology.ControlRecord {
		actions := []topology.ControlAction{topology.Pause, topology.Resume, topology.Kill}
		action := rapid.SampledFrom(actions).Draw(t, "action")
		until := time.Duration(rapid.IntRange(-2, 2).Draw(t, "until")) * time.Minute
		return order(action, genSubject.Draw(t, "subject"), until)
	})
)

// TestVerdictOfAny: the verdict is what reading every order one by one gives;
// that about the only provider counts where there is no other.
func TestVerdictOfAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		orders := rapid.SliceOf(genOrder).Draw(t, "orders")
		job := topology.Job{
			Lane:     rapid.SampledFrom(topology.Lanes()).Draw(t, "lane"),
			Channel:  rapid.SampledFrom(topology.Channels()).Draw(t, "channel"),
			Type:     rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "type"),
			Template: topology.TemplateRef(rapid.SampledFrom([]string{"a@1", "b@2", "c@3"}).Draw(t, "template")),
		}
		providers := rapid.SampledFrom([][]string{nil, {"a"}}).Draw(t, "providers")
		name, _ := job.Template.Split()
		last := map[topology.Subject]topology.ControlRecord{}
		for _, o := range orders {
			last[o.Subject] = o
		}
		paused, killed := false, false
		for _, subject := range []topology.Subject{
			"lane:" + topology.Subject(job.Lane), "channel:" + topology.Subject(job.Channel),
			"type:" + topology.Subject(job.Type), "template:" + topology.Subject(name), "provider:a",
		} {
			o := last[subject]
			if subject == "provider:a" && (len(providers) == 0 || paused || killed) {
				continue
			}
			if o.InForce(now) {
				paused, killed = paused || o.Action == topology.Pause, killed || o.Action == topology.Kill
			}
		}
		v, _ := control.Of(orders...).Judge(&job, providers, now)
		if v.Killed() != killed || v.Paused() != (paused && !killed) {
			t.Fatalf("%s; want paused %v, killed %v", said(v), paused, killed)
		}
	})
}

func BenchmarkVerdict(b *testing.B) {
	few := []topology.ControlRecord{order(topology.Pause, "template:other", 0), order(topology.Kill, "type:other", 0)}
	many := append([]topology.ControlRecord(nil), few...)
	for i := range 10_000 {
		many = append(many, order(topology.Pause, topology.Subject(fmt.Sprint("template:t", i)), 0))
	}
	each := append([]topology.ControlRecord(nil), few...)
	each = append(each, order(topology.Pause, "channel:email", time.Hour), order(topology.Pause, "provider:x", 0),
		order(topology.Pause, "lane:batch", time.Hour))
	for _, bench := range []struct {
		name   string
		orders []topology.ControlRecord
	}{{"none", nil}, {"two", few}, {"every kind", each}, {"10000", many}} {
		o := control.Of(bench.orders...)
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := o.Verdict(&aJob, now); v.Killed() {
					b.Fatal(v)
				}
			}
		})
	}
}
