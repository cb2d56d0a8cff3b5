package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

const (
	fewTemplates = 10
	// matchCostGoal is how many times as much matching may cost with many templates as with few.
	matchCostGoal = 2
)

// templatesFigure measures matching with few and with many templates in the catalogue, and how soon followers have a new
// one.
func templatesFigure(flags *flag.FlagSet) func(*bench) []Table {
	templates := count(flags, "templates", 10_000, "how many templates are many")
	followers := count(flags, "followers", 8, "how many consumers follow the templates")
	publications := count(flags, "publications", 100, "how many versions are published")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("templates", lane)
		return []Table{s.matchingCost(*templates, *rounds), s.publishing(*templates, *followers, *publications)}
	}
}

// oneOfMany is a template: every second one has a condition.
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

// matchingCost runs matchers over the same events by turns.
func (s *system) matchingCost(templates, rounds int) Table {
	const events, passes = 250, 200
	batch := consumer.Batch{Topic: s.names.Events(lane)}
	for i := range events {
		r := newEvent(i)
		event := must(topology.DecodeEvent(r, lane))
		event.Type = fmt.Sprintf("type_%d", i%fewTemplates)
		r.Value = event.Append(nil)
		batch.Records = append(batch.Records, r)
	}
	sizes := []int{fewTemplates, templates}
	matchers, costs := make([]consumer.Handler, len(sizes)), make([][]float64, len(sizes))
	for i, n := range sizes {
		progress("templates: compiling %d", n)
		matchers[i] = newMatcher(s.names, must(catalogue.New(many(n)...)))
	}
	var ratios []float64
	for round := 0; round <= rounds; round++ { // the first is to warm up
		progress("templates: matching, round %d of %d", round, rounds)
		for _, i := range turn(len(sizes), round) {
			start := time.Now()
			for range passes {
				must(matchers[i].Handle(s.ctx, batch))
			}
			if round > 0 {
				costs[i] = append(costs[i], float64(time.Since(start).Nanoseconds())/events/passes)
			}
		}
		if round > 0 {
			ratios = append(ratios, costs[1][round-1]/costs[0][round-1])
		}
	}
	t := Table{
		Title:   "matching an event, from its bytes to those of its job and entry",
		Columns: []string{"templates", "ns an event"},
	}
	for i, n := range sizes {
		t.Rows = append(t.Rows, []any{n, median(costs[i])})
	}
	ratio := median(ratios)
	t.Goals = []Goal{{
		fmt.Sprintf("with %s templates matching costs %.2f times what it does with %d; the goal is %d",
			thousands(float64(templates)), ratio, fewTemplates, matchCostGoal),
		ratio <= matchCostGoal,
	}}
	return t
}

// publishing fills the topic, starts followers, and publishes one version after the other.
func (s *system) publishing(templates, followers, publications int) Table {
	writer := s.publisher()
	publish := func(records ...topology.TemplateRecord) {
		out := make([]topology.Record, len(records))
		for i, r := range records {
			out[i] = topology.Record{Topic: s.names.Templates(), Key: []byte(r.Ref()), Value: r.Append(nil)}
		}
		must(writer.Publish(s.ctx, s.names.Templates(), 0, out))
	}
	progress("templates: publishing %d", templates)
	publish(many(templates)...)
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	var all []*catalogue.Follower
	var loads, delays []float64
	for i := range followers {
		progress("templates: loading %d, follower %d of %d", templates, i+1, followers)
		start := time.Now()
		follower, running := s.follow(ctx)
		defer func() { stop(); running.Wait() }()
		check(follower.AwaitReady(ctx))
		loads, all = append(loads, milliseconds(time.Since(start))), append(all, follower)
	}
	for i := range publications {
		next := oneOfMany(i % templates)
		next.Version, next.PublishedAt = fmt.Sprint(i+2), time.Now()
		start := time.Now()
		publish(next)
		s.await("templates: followers", time.Millisecond, func() (done, want int) {
			for _, f := range all {
				if _, ok := f.Catalogue().ByRef(next.Ref()); ok {
					done++
				}
			}
			return done, len(all)
		})
		delays = append(delays, milliseconds(time.Since(start)))
	}
	return Table{
		Title: fmt.Sprintf("from publishing a version until each of %d followers of %s templates has it",
			followers, thousands(float64(templates))),
		Columns: append(append([]string{""}, times()...), "first load ms"),
		Rows:    [][]any{append(append([]any{"publications"}, quantiles(delays)...), slices.Max(loads))},
		Goals:   []Goal{under("the longest publication", slices.Max(delays), time.Second)},
	}
}
