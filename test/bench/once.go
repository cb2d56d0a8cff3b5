package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/meddela/meddela/topology"
)

// onceFigure has deliverers deliver jobs while they, and now and then the matcher, are killed at random, has every
// batch delivered again, and counts what the provider was handed.
func onceFigure(flags *flag.FlagSet) func(*bench) []Table {
	jobs := count(flags, "jobs", 200_000, "how many jobs are delivered")
	kills := flags.Int("kills", 50, "how often a process is killed")
	deliverers := count(flags, "deliverers", 3, "how many processes deliver")
	return func(b *bench) []Table {
		provider := startProvider(map[string]time.Duration{"/messages": 2 * time.Millisecond})
		defer provider.Close()
		s := b.newSystem("once", lane)
		s.providers(provider.entry("messages", topology.Email, ""))
		s.environment = append(s.environment, "MEDDELA_LOOP_SESSION_TIMEOUT=6s", "MEDDELA_CLAIM_LEASE=11s")
		s.publishSamples()
		events := &ledger{client: b.redis, keys: s.keys}
		var number atomic.Int64
		s.fill(s.names.Events(lane), *jobs, func(partition, _ int) topology.Record {
			r := newEvent(int(number.Add(1)))
			events.add(partition, topology.EventID(r.Key))
			return r
		})
		for _, role := range []topology.Role{topology.RoleMatch, topology.RoleStatus, topology.RoleDelay} {
			s.start(role, lane)
		}
		for range *deliverers {
			s.start(topology.RoleDeliver, lane)
		}
		began := time.Now()
		s.killOnTheWay(provider, *jobs, *kills)
		topic, group := s.names.Jobs(lane), s.names.DeliverGroup(lane, topology.Email)
		s.awaitCommitted(group, topic)
		seconds := time.Since(began).Seconds()
		accepted, again := provider.counts()

		s.stop(topology.RoleDeliver)
		s.rewind(group, topic)
		s.start(topology.RoleDeliver, lane)
		s.awaitCommitted(group, topic)
		_, total := provider.counts()
		s.awaitCommitted(s.names.Group(topology.RoleStatus, lane), s.names.DeliveryLog(lane))
		check(events.verify(b.ctx))
		s.stop()
		ambiguous := int(s.ambiguous.Load())
		return []Table{{
			Title: fmt.Sprintf("once: %s jobs, %d deliverers, killed with kill -9 %d times on the way (every tenth time the matcher); "+
				"then every batch was read again", thousands(float64(*jobs)), *deliverers, *kills),
			Columns: []string{"", "jobs"},
			Rows: [][]any{
				{"accepted by the provider, which honours the idempotency key", accepted},
				{"handed over again: accepted twice by one that does not", again},
				{"counted as ambiguous by the deliverers", ambiguous},
				{"handed over again when every batch was read again", total - again},
				{"seconds until all were accepted", seconds},
			},
			Goals: []Goal{
				{"each job was accepted, and its event is sent", accepted == *jobs},
				{"what was handed over again is at most what was counted as ambiguous", again <= ambiguous},
				{"a batch that is read again sends nothing", total == again},
			},
		}}
	}
}

// killOnTheWay kills deliverers when random numbers of jobs are accepted, and every tenth time the matcher. It returns
// when all are accepted.
func (s *system) killOnTheWay(provider *provider, jobs, kills int) {
	marks := make([]int, kills)
	for i := range marks {
		marks[i] = jobs/100 + rand.IntN(jobs*97/100)
	}
	slices.Sort(marks)
	killed := 0
	s.await("jobs accepted", 20*time.Millisecond, func() (done, want int) {
		accepted, _ := provider.counts()
		if killed == kills || accepted < marks[killed] {
			return accepted, max(jobs, accepted-killed+kills)
		}
		role := topology.RoleDeliver
		if killed%10 == 9 {
			role = topology.RoleMatch
		}
		s.replace(role, true)
		killed++
		return accepted, jobs + 1
	})
}
