package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/topology"
)

// What the streams are made of.
const (
	slowAnswer = 2 * time.Second
	mailRate   = 100 // real-time e-mails a second
	codeRate   = 2   // real-time text messages a second, to the slow provider
	slowAtOnce = 20  // messages that the slow provider takes at once, of all processes
	// floodLead is how long a flood is under way before anything is measured.
	floodLead = 5 * time.Second
)

// isolationFigure measures how long real-time messages take, first alone, then while a batch floods the slow provider
// of a channel, and then while real-time messages of that channel pile up as well.
func isolationFigure(flags *flag.FlagSet) func(*bench) []Table {
	flood := count(flags, "flood", 50_000, "how many batch messages flood the slow provider")
	hold := flags.Duration("for", 30*time.Second, "how long each step is measured; at least 5s")
	return func(b *bench) []Table {
		*hold = max(*hold, 5*time.Second)
		provider := startProvider(map[string]time.Duration{"/slow": slowAnswer})
		defer provider.Close()
		s := b.newSystem("isolation")
		s.providers(provider.entry("quick", topology.Email, "") +
			provider.entry("slow", topology.SMS, fmt.Sprintf("limit: {concurrency: %d, reserve: 0.5}", slowAtOnce)))
		s.publishSamples()
		for _, l := range topology.Lanes() {
			for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleDelay} {
				s.start(role, l)
			}
		}
		step := &isolation{system: s, provider: provider}
		step.measure(warmUp, codeRate)
		aloneMail, aloneText := step.measure(*hold, codeRate)
		s.fill(s.names.Events(topology.Batch), *flood, func(_, _ int) topology.Record {
			return recordOf(textMessage("appointment_reminder",
				`{"appointment":{"start":"2026-12-01T14:30:00+01:00","place":"Hamngatan 12"}}`))
		})
		check(sleep(b.ctx, floodLead))
		floodMail, floodText := step.measure(*hold, codeRate)
		pileMail, _ := step.measure(*hold, 4*slowAtOnce) // the texts wait for the provider, and for nobody else
		s.stop()

		t := Table{
			Title: fmt.Sprintf("isolation: %d real-time e-mails and %d text messages a second; the text messages' provider takes %v for "+
				"each and %d at once, half of them reserved; the flood is %s text messages on the batch lane",
				mailRate, codeRate, slowAnswer, slowAtOnce, thousands(float64(*flood))),
			Columns: append([]string{"real-time messages, until the provider has them"}, times()...),
		}
		for _, row := range []struct {
			name string
			ms   []float64
		}{
			{"e-mail alone", aloneMail}, {"e-mail while a batch floods the slow provider", floodMail},
			{"e-mail while real-time messages for it pile up too", pileMail},
			{"text messages alone", aloneText}, {"text messages while a batch floods their provider", floodText},
		} {
			t.Rows = append(t.Rows, append([]any{row.name}, quantiles(row.ms)...))
		}
		within := func(what string, alone, beside []float64) Goal {
			p99, limit := quantile(beside, 0.99), max(2*quantile(alone, 0.99), 100)
			return Goal{fmt.Sprintf("%s p99 %.1f ms; the goal is at most %.1f, twice what it is alone or 100 ms", what, p99, limit), p99 <= limit}
		}
		t.Goals = []Goal{
			within("e-mail beside a flood", aloneMail, floodMail), within("e-mail beside a pile", aloneMail, pileMail),
			within("text messages beside a flood", aloneText, floodText),
		}
		return []Table{t}
	}
}

// textMessage is a text message's event.
func textMessage(kind, data string) topology.Event {
	return topology.Event{
		ID: topology.EventID(ulid.Make().String()), Type: kind, Channel: topology.SMS, To: "+46700000123", Ctx: []byte(data),
	}
}

// isolation publishes real-time e-mails and text messages at steady rates.
type isolation struct {
	*system
	provider *provider
}

// measure publishes for as long as said, and returns how long the messages took. It waits for the e-mails, and for text
// messages where their provider can take as many.
func (s *isolation) measure(d time.Duration, codes float64) (mails, texts []float64) {
	var mailsDue, textsDue []delivery
	streams, ctx := errgroup.WithContext(s.ctx)
	streams.Go(func() error { return s.stream(ctx, mailRate, d, &mailsDue, mail) })
	streams.Go(func() error {
		return s.stream(ctx, codes, d, &textsDue, func(int) topology.Event { return textMessage("one_time_code", `{"code":"004211"}`) })
	})
	check(streams.Wait())
	awaited := [][]delivery{mailsDue}
	if codes <= codeRate {
		awaited = append(awaited, textsDue)
	}
	for _, list := range awaited {
		s.await("messages sent", 10*time.Millisecond, func() (done, want int) { return len(s.provider.delays(list)), len(list) })
	}
	return s.provider.delays(mailsDue), s.provider.delays(textsDue)
}

func (s *isolation) stream(
	ctx context.Context, rate float64, d time.Duration, list *[]delivery, make func(number int) topology.Event,
) error {
	due := timetable{start: time.Now(), rate: rate, for_: d}
	return s.publish(ctx, due, 0, func(number int, due time.Time) topology.Record {
		event := make(number)
		*list = append(*list, deliveryOf(event, due))
		return recordOf(event)
	}, nil)
}
