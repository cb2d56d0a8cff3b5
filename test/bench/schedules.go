package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// schedulesFigure publishes events that are due at random moments of a while, has roles restarted meanwhile, and looks
// at when the provider was handed each. Restarts are at even distances, each role in turn; every fourth is a kill -9,
// the others are as a roll-out does it.
func schedulesFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := count(flags, "events", 10_000, "how many events are scheduled")
	over := flags.Duration("over", 5*time.Minute, "how long the events' times are spread over; at least 1s")
	restarts := flags.Int("restarts", 8, "how many processes are restarted meanwhile")
	return func(b *bench) []Table {
		*over = max(*over, time.Second)
		provider := startProvider(nil)
		defer provider.Close()
		s := b.newSystem("schedules", lane)
		s.providers(provider.entry("messages", topology.Email, ""))
		s.publishSamples()
		for _, role := range topology.Roles() {
			s.start(role, lane)
			s.start(role, lane)
		}
		const lead = 15 * time.Second
		start := time.Now().Add(lead)
		var mu sync.Mutex
		var deliveries []delivery
		s.fill(s.names.Events(lane), *events, func(_, _ int) topology.Record {
			mu.Lock()
			defer mu.Unlock()
			event := mail(len(deliveries))
			event.Scheduled = start.Add(rand.N(*over)).UTC().Truncate(time.Millisecond)
			deliveries = append(deliveries, deliveryOf(event, event.Scheduled))
			return recordOf(event)
		})
		killed := 0
		roles := []topology.Role{topology.RoleDelay, topology.RoleDeliver, topology.RoleMatch}
		for i := range *restarts {
			at := start.Add(*over * time.Duration(i+1) / time.Duration(*restarts+1))
			for time.Now().Before(at) {
				progress("%d of %d restarts; %v to go", i, *restarts, time.Until(start.Add(*over)).Round(time.Second))
				check(errors.Join(s.alive(), sleep(b.ctx, min(time.Second, time.Until(at)))))
			}
			kill := i%4 == 3
			s.replace(roles[i%len(roles)], kill)
			if kill {
				killed++
			}
		}
		check(sleep(b.ctx, time.Until(start.Add(*over))))
		s.await("sent", 250*time.Millisecond, func() (done, want int) {
			accepted, _ := provider.counts()
			return accepted, *events
		})
		s.stop()
		late, early, inGoal := provider.delays(deliveries), 0, 0
		for _, ms := range late {
			if ms < 0 {
				early++
			}
			if ms <= 1000 {
				inGoal++
			}
		}
		_, again := provider.counts()
		p99 := quantile(late, 0.99)
		return []Table{{
			Title: fmt.Sprintf("schedules: %s events due over %v, two processes a role, %d restarts on the way, %d of them kill -9",
				thousands(float64(*events)), *over, *restarts, killed),
			Columns: append(append([]string{""}, times()...), "% at most 1 s", "handed over again"),
			Rows:    [][]any{append(append([]any{"late by"}, quantiles(late)...), 100*float64(inGoal)/float64(len(late)), again)},
			Goals: []Goal{
				{fmt.Sprintf("%d early", early), early == 0},
				{fmt.Sprintf("p99 late by %.0f ms; at rest, without restarts, the goal is 1000", p99), p99 <= 1000},
			},
		}}
	}
}
