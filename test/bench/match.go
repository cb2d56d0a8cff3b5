package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// matchFigure has the matcher, and a bare loop that writes as many records of the same sizes without looking at what it
// reads, work off the same backlog.
func matchFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := flags.Int("events", 200_000, "how many events are matched each time")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("match")
		from := s.names.Events(lane)
		s.fill(from, *events, numbered)
		matcher := s.matcher()
		return []Table{compare("match", "events", *rounds, 0.7,
			s.loopDrainer("match", *events, matcher, from),
			s.loopDrainer("bare fetch-and-produce of the same bytes", *events, s.bareOutputs(matcher), from),
			s.loopDrainer("plain copy, each event once", *events, bareWriter{{s.names.Jobs(lane), 0}}, from),
		)}
	}
}

// matcher matches with the templates that are published.
func (s *system) matcher() consumer.Handler {
	templates := s.follow().Snapshot()
	s.stop()
	return newMatcher(s.names, templates)
}

func newMatcher(names topology.Topics, templates *catalogue.Catalogue) consumer.Handler {
	return &match.Handler{
		Lane: lane, Names: names, Now: time.Now,
		Catalogue: func() *catalogue.Catalogue { return templates },
	}
}

// bareOutputs are what a matcher writes for an event, in number, size and place, without what it does for it.
func (s *system) bareOutputs(matcher consumer.Handler) bareWriter {
	const sample = 400
	batch := consumer.Batch{Topic: "sample"}
	for i := range sample {
		r := newEvent(i)
		r.Time = time.Now()
		batch.Records = append(batch.Records, r)
	}
	outputs := bareWriter{{s.names.Jobs(lane), 0}, {s.names.DeliveryLog(lane), 0}}
	out := script.Must(matcher.Handle(s.ctx, batch)).Out
	if len(out) != len(outputs)*sample {
		script.Check(fmt.Errorf("the matcher made %d records of %d events, not a job and an entry of each", len(out), sample))
	}
	for i, r := range out {
		outputs[i%len(outputs)].size += len(r.Value)
	}
	for i := range outputs {
		outputs[i].size /= sample
	}
	return outputs
}

// output is a record of some bytes or, without a size, a copy.
type output struct {
	to   topology.Topic
	size int
}

// bareWriter writes outputs for each record.
type bareWriter []output

func (h bareWriter) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	out := make([]topology.Record, 0, len(h)*len(b.Records))
	var filler [4 * eventBytes]byte
	for i := range b.Records {
		for _, o := range h {
			r := topology.Record{Topic: o.to, Key: b.Records[i].Key, Value: filler[:o.size]}
			if o.size == 0 {
				r.Value, r.Headers = b.Records[i].Value, b.Records[i].Headers
			}
			out = append(out, r)
		}
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}

// overheadFigure has processes of the matcher, the role that does most for each second of CPU, work off the same
// backlog: with their metrics asked for every second, far more often than anybody does, and with a share of the events
// traced. The traces' collector is in this process.
func overheadFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := flags.Int("events", 200_000, "how many events are matched each time")
	sample := flags.Float64("sample", 0.01, "share of the events that are traced, from 0 to 1")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("overhead")
		s.fill(s.names.Events(lane), *events, numbered)
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		defer collector.Close()
		address := script.FreeAddr()
		scraped := "MEDDELA_HTTP_ADDR=" + address
		share := fmt.Sprintf("MEDDELA_TRACE_SAMPLE=%v", *sample)
		traced := []string{scraped, "MEDDELA_TRACE_ENDPOINT=" + collector.URL, share}
		return []Table{compare("overhead", "events", *rounds, 0.95,
			s.processDrainer("scraped, and a share of events traced", *events, address, traced...),
			s.processDrainer("neither", *events, ""),
			s.processDrainer("scraped only", *events, address, scraped),
		)}
	}
}

// processDrainer is a drainer that is a process of the matcher, and counts its outputs. If it has an address, its
// metrics are asked for every second.
func (s *system) processDrainer(name string, events int, address string, environment ...string) contestant {
	return s.drainer(name, events, func() func() int {
		log := s.names.DeliveryLog(lane)
		before, scraped := s.ends(log), time.Now()
		s.rewind(s.names.Group(topology.RoleMatch, lane), s.names.Events(lane))
		s.start(topology.RoleMatch, lane, environment...)
		return func() int {
			written := s.ends(log) - before
			if address != "" && written > 0 && time.Since(scraped) > time.Second {
				response := script.Must(http.Get("http://" + address + "/metrics"))
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				scraped = time.Now()
			}
			return written
		}
	})
}

// templatesFigure measures matching with few and with many templates, and how soon followers have a new one.
func templatesFigure(flags *flag.FlagSet) func(*bench) []Table {
	templates := flags.Int("templates", 10_000, "how many templates are many")
	followers := flags.Int("followers", 8, "how many consumers follow the templates")
	publications := flags.Int("publications", 100, "how many versions are published")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("templates")
		return []Table{s.matchingCost(*templates, *rounds), s.publishing(*templates, *followers, *publications)}
	}
}

// oneOfMany is a template; every second one has a condition.
func oneOfMany(i int) topology.TemplateRecord {
	r := topology.TemplateRecord{
		Name: fmt.Sprintf("template_%d", i), Version: "1", Types: []string{fmt.Sprintf("type_%d", i)},
		Channel: topology.Email, DefaultLanguage: "en",
		Bodies:      map[string]map[string]string{},
		PublishedAt: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC),
	}
	for _, language := range []string{"en", "sv", "fi"} {
		r.Bodies[language] = map[string]string{
			template.EmailSubject: "Order {{.ctx.order.number}}",
			template.EmailText:    "Hello {{.ctx.firstName}}, {{.ctx.order.total}} {{.ctx.order.currency}}",
		}
	}
	if i%2 == 1 {
		r.When = `has(ctx.order) && event.country != "XX"`
	}
	return r
}

func many(n int) []topology.TemplateRecord {
	records := make([]topology.TemplateRecord, n)
	for i := range records {
		records[i] = oneOfMany(i)
	}
	return records
}

// matchingCost runs a matcher of many templates and one of few over the same events, from an event's bytes to those of
// its job and entry.
func (s *system) matchingCost(templates, rounds int) Table {
	const events, passes, fewTemplates = 250, 200, 10
	batch := consumer.Batch{Topic: s.names.Events(lane)}
	for i := range events {
		r := newEvent(i)
		event := script.Must(topology.DecodeEvent(r, lane))
		event.Type = fmt.Sprintf("type_%d", i%fewTemplates)
		r.Value = event.Append(nil)
		batch.Records = append(batch.Records, r)
	}
	side := func(n int) contestant {
		progress("templates: compiling %d", n)
		matcher := newMatcher(s.names, script.Must(catalogue.New(many(n)...)))
		return contestant{fmt.Sprintf("matching with %d templates", n), func() work {
			metered := s.meter()
			for range passes {
				script.Must(matcher.Handle(s.ctx, batch))
			}
			return metered(events * passes)
		}}
	}
	// With many it may cost twice as much.
	return compare("templates", "events", rounds, 0.5, side(templates), side(fewTemplates))
}

// publishing fills the topic, starts followers, and publishes one version after the other.
func (s *system) publishing(templates, followers, publications int) Table {
	writer := s.publisher()
	publish := func(records ...topology.TemplateRecord) {
		out := make([]topology.Record, len(records))
		for i, r := range records {
			out[i] = topology.Record{Topic: s.names.Templates(), Key: []byte(r.Ref()), Value: r.Append(nil)}
		}
		script.Must(writer.Publish(s.ctx, 0, out))
	}
	progress("templates: publishing %d", templates)
	publish(many(templates)...)
	defer s.stop()
	var all []*catalogue.Follower
	var loads, delays []float64
	for i := range followers {
		progress("templates: loading %d, follower %d of %d", templates, i+1, followers)
		start := time.Now()
		all = append(all, s.follow())
		loads = append(loads, milliseconds(time.Since(start)))
	}
	for i := range publications {
		next := oneOfMany(i % templates)
		next.Version, next.PublishedAt = fmt.Sprint(i+2), time.Now()
		start := time.Now()
		publish(next)
		s.await("templates: followers", time.Millisecond, func() (done, want int) {
			for _, f := range all {
				if _, ok := f.Snapshot().ByRef(next.Ref()); ok {
					done++
				}
			}
			return done, len(all)
		})
		delays = append(delays, milliseconds(time.Since(start)))
	}
	return Table{
		Title: fmt.Sprintf("from publishing a version until each of %d followers of %d templates has it",
			followers, templates),
		Columns: times("", "first load ms"),
		Rows:    [][]any{quantiles("publications", delays, slices.Max(loads))},
		Goals:   []Goal{under("the longest publication", slices.Max(delays), time.Second)},
	}
}
