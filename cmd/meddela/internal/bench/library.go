package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

const (
	fewTemplates = 10
	// matchCostGoal is how many times as much matching may cost with many
	// templates as with few.
	matchCostGoal = 2
	// publicationGoal is how long a publication may take to reach every
	// consumer.
	publicationGoal = time.Second
)

// LibraryResult says what many templates cost.
type LibraryResult struct {
	Templates int `json:"templates"`
	// FewNanos and ManyNanos are what it takes to match an event, from its
	// bytes to the bytes of its job and entry, with few and with many
	// templates.
	FewNanos  float64 `json:"few_ns"`
	ManyNanos float64 `json:"many_ns"`
	// Ratio is the median over the rounds.
	Ratio float64 `json:"ratio"`
	// LoadMillis is how long followers take to read and check all of them,
	// from nothing.
	Followers  int       `json:"followers"`
	LoadMillis []float64 `json:"load_ms"`
	// Publication is the time from before a version is written until every
	// follower has it.
	Publication Times `json:"publication_ms"`
}

// Library measures matching with few and with many templates in the
// catalogue, and how soon followers have a new one.
func (b *Bench) Library(ctx context.Context, templates, followers, publications, rounds int) (*LibraryResult, error) {
	result := &LibraryResult{Templates: templates, Followers: followers}
	if err := b.matchingCost(ctx, result, rounds); err != nil {
		return nil, err
	}
	return result, b.publishing(ctx, result, publications)
}

// libraryTemplate is one of many: every second one has a condition.
func libraryTemplate(i int) topology.TemplateRecord {
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

func libraryEvent(i int) topology.Record {
	r := newEvent(i)
	event, _ := topology.DecodeEvent(r, lane)
	event.Type = fmt.Sprintf("type_%d", i%fewTemplates)
	r.Value = event.Append(nil)
	return r
}

// matchingCost runs the matcher over the same events by turns.
func (b *Bench) matchingCost(ctx context.Context, result *LibraryResult, rounds int) error {
	const events, passes = 250, 200
	batch := consumer.Batch{Topic: b.names("templates").Events(lane)}
	for i := range events {
		batch.Records = append(batch.Records, libraryEvent(i))
	}
	sizes := []int{fewTemplates, result.Templates}
	matchers := make([]consumer.Handler, len(sizes))
	for i, n := range sizes {
		b.Progress("templates: compiling %d", n)
		records := make([]topology.TemplateRecord, n)
		for j := range records {
			records[j] = libraryTemplate(j)
		}
		var err error
		if matchers[i], err = newMatcher(b.names("templates"), records); err != nil {
			return err
		}
	}
	costs := make([][]float64, len(sizes))
	var ratios []float64
	for round := 0; round <= rounds; round++ { // the first is to warm up
		b.Progress("templates: matching, round %d of %d", round, rounds)
		for _, i := range turn(len(sizes), round) {
			start := time.Now()
			for range passes {
				if _, err := matchers[i].Handle(ctx, batch); err != nil {
					return err
				}
			}
			if round > 0 {
				costs[i] = append(costs[i], float64(time.Since(start).Nanoseconds())/events/passes)
			}
		}
		if round > 0 {
			ratios = append(ratios, costs[1][round-1]/costs[0][round-1])
		}
	}
	result.FewNanos, result.ManyNanos, result.Ratio = median(costs[0]), median(costs[1]), median(ratios)
	return nil
}

// publishing fills the topic, starts followers, and publishes one version
// after the other.
func (b *Bench) publishing(ctx context.Context, result *LibraryResult, publications int) error {
	names := b.names("templates")
	if err := b.createThose(ctx, names, func(t topology.Topic) bool { return t == names.Templates() }); err != nil {
		return err
	}
	writer := &producer.Publisher{Addr: b.Kafka.Addr(), Transport: b.transport, Compression: b.Compression}
	publish := func(records ...topology.TemplateRecord) error {
		out := make([]topology.Record, len(records))
		for i, r := range records {
			out[i] = topology.Record{Topic: names.Templates(), Key: []byte(r.Ref()), Value: r.Append(nil)}
		}
		_, err := writer.Publish(ctx, names.Templates(), 0, out)
		return err
	}
	b.Progress("templates: publishing %d", result.Templates)
	all := make([]topology.TemplateRecord, result.Templates)
	for i := range all {
		all[i] = libraryTemplate(i)
	}
	if err := publish(all...); err != nil {
		return err
	}
	f, err := b.follow(ctx, names.Templates(), result)
	if err != nil {
		return err
	}
	defer f.stop()
	var times []float64
	for i := range publications {
		b.Progress("templates: publication %d of %d", i+1, publications)
		next := libraryTemplate(i % result.Templates)
		next.Version, next.PublishedAt = fmt.Sprint(i+2), time.Now()
		start := time.Now()
		if err := publish(next); err != nil {
			return err
		}
		if err := f.await(ctx, next.Ref()); err != nil {
			return err
		}
		times = append(times, milliseconds(time.Since(start)))
	}
	result.Publication = timesOf("publication", times)
	return nil
}

// followers follow the templates as that many processes would, each over
// connections of its own.
type followers struct {
	all  []*catalogue.Follower
	stop func()
}

func (b *Bench) follow(ctx context.Context, topic topology.Topic, result *LibraryResult) (*followers, error) {
	following, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	f := &followers{stop: func() { cancel(); running.Wait() }}
	for i := range result.Followers {
		b.Progress("templates: loading %d, follower %d of %d", result.Templates, i+1, result.Followers)
		transport := b.Kafka.Transport()
		follower := catalogue.NewFollower(catalogue.Config{
			Source: catalogue.FromTopic(b.Kafka.Addr(), transport, topic), Log: zerolog.Nop(),
		})
		start := time.Now()
		running.Go(func() { follower.Run(following); transport.CloseIdleConnections() })
		if err := follower.AwaitReady(ctx); err != nil {
			f.stop()
			return nil, err
		}
		result.LoadMillis = append(result.LoadMillis, milliseconds(time.Since(start)))
		f.all = append(f.all, follower)
	}
	return f, nil
}

// await returns once every follower has the version.
func (f *followers) await(ctx context.Context, ref topology.TemplateRef) error {
	for _, follower := range f.all {
		for {
			if _, ok := follower.Catalogue().ByRef(ref); ok {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

// Tables implements Result.
func (r *LibraryResult) Tables() []Table {
	return []Table{
		{
			Title:   "matching an event, from its bytes to those of its job and entry",
			Columns: []string{"templates", "ns an event"},
			Rows: [][]string{
				{whole(fewTemplates), whole(r.FewNanos)},
				{whole(float64(r.Templates)), whole(r.ManyNanos)},
			},
			Verdicts: []Verdict{{
				Text: fmt.Sprintf("with %s templates matching costs %.2f times what it does with %d; the goal is %d", whole(float64(r.Templates)), r.Ratio, fewTemplates, matchCostGoal),
				Met:  r.Ratio <= matchCostGoal,
			}},
		},
		{
			Title:   fmt.Sprintf("from publishing a version until each of %d followers of %s templates has it", r.Followers, whole(float64(r.Templates))),
			Columns: []string{"publications", "p50 ms", "p90 ms", "p99 ms", "most ms", "first load ms"},
			Rows: [][]string{{
				whole(float64(r.Publication.Events)), oneDigit(r.Publication.P50), oneDigit(r.Publication.P90), oneDigit(r.Publication.P99), oneDigit(r.Publication.Max),
				oneDigit(slices.Max(r.LoadMillis)),
			}},
			Verdicts: []Verdict{under("the longest publication", r.Publication.Max, publicationGoal)},
		},
	}
}
