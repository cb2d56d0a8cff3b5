package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

// provider is an HTTP provider in this process that remembers every message that it was handed, by its idempotency key.
// Of a message that it is handed again it keeps count: one that honours the key would have accepted the first only, one
// that does not would have accepted them all.
type provider struct {
	*httptest.Server
	answer map[string]time.Duration // what an answer takes, by path

	mu    sync.Mutex
	first map[topology.JobID]time.Time
	again int
}

func startProvider(answer map[string]time.Duration) *provider {
	p := &provider{answer: answer, first: make(map[topology.JobID]time.Time)}
	p.Server = httptest.NewServer(p)
	return p
}

// entry is a path of the provider as the providers' file names it, with a line of further settings.
func (p *provider) entry(name string, channel topology.Channel, more string) string {
	return fmt.Sprintf(`  - name: %s
    channels: [%s]
    kind: http
    concurrency: 32
    http: {url: "%s/%s", body: '{"to":{{ json .To }},"subject":{{ json .Subject }}}', allow_private: true}
    %s
`, name, channel, p.URL, name, more)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the sender died: nothing was accepted
	}
	key := topology.JobID(r.Header.Get("Idempotency-Key"))
	p.mu.Lock()
	if _, ok := p.first[key]; ok {
		p.again++
	} else {
		p.first[key] = time.Now()
	}
	p.mu.Unlock()
	time.Sleep(p.answer[r.URL.Path])
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"bench-%s"}`, key)
}

// counts are how many jobs were accepted, and how often one was again.
func (p *provider) counts() (accepted, again int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.first), p.again
}

// dueTimes say when messages that should reach the provider are due.
type dueTimes map[topology.JobID]time.Time

func (d dueTimes) add(e topology.Event, due time.Time) { d[topology.JobIDOf(e.ID, 0)] = due }

// delays are how long after they were due the messages that have come have come, in ms.
func (p *provider) delays(due dueTimes) (ms []float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for job, due := range due {
		if at, ok := p.first[job]; ok {
			ms = append(ms, milliseconds(at.Sub(due)))
		}
	}
	return ms
}

// onceFigure has deliverers deliver jobs while they, and now and then the matcher, are killed at random, has every
// batch delivered again, and counts what the provider was handed.
func onceFigure(flags *flag.FlagSet) func(*bench) []Table {
	jobs := flags.Int("jobs", 200_000, "how many jobs are delivered")
	kills := flags.Uint("kills", 50, "how often a process is killed")
	deliverers := flags.Int("deliverers", 3, "how many processes deliver")
	return func(b *bench) []Table {
		provider := startProvider(map[string]time.Duration{"/messages": 2 * time.Millisecond})
		defer provider.Close()
		s := b.newSystem("once", provider.entry("messages", topology.Email, ""))
		s.environment = append(s.environment, "MEDDELA_LOOP_SESSION_TIMEOUT=6s", "MEDDELA_CLAIM_LEASE=11s")
		events := &watch{system: s}
		s.fill(s.names.Events(lane), *jobs, func(partition, at int) topology.Record {
			return events.newEvent(at*partitions+partition, time.Time{})
		})
		for _, role := range []topology.Role{topology.RoleMatch, topology.RoleStatus, topology.RoleDelay} {
			s.start(role, lane)
		}
		for range *deliverers {
			s.start(topology.RoleDeliver, lane)
		}
		began := time.Now()
		s.killOnTheWay(provider, *jobs, int(*kills))
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
		events.awaitSent(*jobs)
		s.stop()
		ambiguous := int(s.ambiguous.Load())
		return []Table{{
			Title: fmt.Sprintf("once: %d jobs, %d deliverers, killed with kill -9 %d times on the way (every tenth "+
				"time the matcher); then every batch was read again", *jobs, *deliverers, *kills),
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

// What the streams are made of.
const (
	slowAnswer = 2 * time.Second
	mailRate   = 100 // real-time e-mails a second
	codeRate   = 2   // real-time text messages a second, to the slow provider
	slowAtOnce = 20  // messages that the slow provider takes at once, of all processes
)

// isolationFigure measures how long real-time messages take, first alone, then while a batch floods the slow provider
// of a channel, and then while real-time messages of that channel pile up as well.
func isolationFigure(flags *flag.FlagSet) func(*bench) []Table {
	flood := flags.Int("flood", 50_000, "how many batch messages flood the slow provider")
	hold := flags.Duration("for", 30*time.Second, "how long each step is measured; at least 5s")
	return func(b *bench) []Table {
		*hold = max(*hold, 5*time.Second)
		provider := startProvider(map[string]time.Duration{"/slow": slowAnswer})
		defer provider.Close()
		s := b.newSystem("isolation", provider.entry("quick", topology.Email, ""),
			provider.entry("slow", topology.SMS, fmt.Sprintf("limit: {concurrency: %d, reserve: 0.5}", slowAtOnce)))
		for _, l := range topology.Lanes() {
			for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleDelay} {
				s.start(role, l)
			}
		}
		s.streams(provider, warmUp, codeRate)
		aloneMail, aloneText := s.streams(provider, *hold, codeRate)
		s.fill(s.names.Events(topology.Batch), *flood, func(_, _ int) topology.Record {
			return recordOf(textMessage("appointment_reminder",
				`{"appointment":{"start":"2026-12-01T14:30:00+01:00","place":"Hamngatan 12"}}`))
		})
		s.pause("the flood", time.Now().Add(5*time.Second))
		floodMail, floodText := s.streams(provider, *hold, codeRate)
		pileMail, _ := s.streams(provider, *hold, 4*slowAtOnce) // the texts wait for the provider, and for nobody else
		s.stop()

		t := Table{
			Title: fmt.Sprintf("isolation: %d real-time e-mails and %d text messages a second; the text messages' "+
				"provider takes %v for each and %d at once, half of them reserved; the flood is %d text messages on the batch lane",
				mailRate, codeRate, slowAnswer, slowAtOnce, *flood),
			Columns: times("real-time messages, until the provider has them"),
			Rows: [][]any{
				quantiles("e-mail alone", aloneMail),
				quantiles("e-mail while a batch floods the slow provider", floodMail),
				quantiles("e-mail while real-time messages for it pile up too", pileMail),
				quantiles("text messages alone", aloneText),
				quantiles("text messages while a batch floods their provider", floodText),
			},
		}
		within := func(what string, alone, beside []float64) Goal {
			p99, limit := quantile(beside, 0.99), max(2*quantile(alone, 0.99), 100)
			text := fmt.Sprintf("%s p99 %.1f ms; the goal is %.1f, twice that alone or 100 ms", what, p99, limit)
			return Goal{text, p99 <= limit}
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
		ID: topology.EventID(ulid.Make().String()), Type: kind, Channel: topology.SMS, To: "+46700000123",
		Ctx: []byte(data),
	}
}

// streams publishes real-time e-mails and text messages at steady rates for as long as said, and returns how long the
// messages took. It waits for the e-mails, and for text messages where their provider can take as many.
func (s *system) streams(p *provider, d time.Duration, codes float64) (mails, texts []float64) {
	mailsDue, textsDue := make(dueTimes), make(dueTimes)
	stream := func(rate float64, all dueTimes, make func(number int) topology.Event) (wait func()) {
		return s.publish(timetable{time.Now(), rate, d}, 0, func(number int, due time.Time) topology.Record {
			event := make(number)
			all.add(event, due)
			return recordOf(event)
		})
	}
	waitMails := stream(mailRate, mailsDue, mail)
	waitTexts := stream(codes, textsDue, func(int) topology.Event {
		return textMessage("one_time_code", `{"code":"004211"}`)
	})
	waitMails()
	waitTexts()
	awaited := maps.Clone(mailsDue)
	if codes <= codeRate {
		maps.Copy(awaited, textsDue)
	}
	s.await("messages sent", 10*time.Millisecond, func() (done, want int) {
		return len(p.delays(awaited)), len(awaited)
	})
	return p.delays(mailsDue), p.delays(textsDue)
}

// schedulesFigure publishes events that are due at random moments of a while, has roles restarted meanwhile, and looks
// at when the provider was handed each. Restarts are at even distances, each role in turn; every fourth is a kill -9,
// the others are as a roll-out does it.
func schedulesFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := flags.Int("events", 10_000, "how many events are scheduled")
	over := flags.Duration("over", 5*time.Minute, "how long the events' times are spread over; at least 1s")
	restarts := flags.Uint("restarts", 8, "how many processes are restarted meanwhile")
	return func(b *bench) []Table {
		*over = max(*over, time.Second)
		provider := startProvider(nil)
		defer provider.Close()
		s := b.newSystem("schedules", provider.entry("messages", topology.Email, ""))
		for _, role := range topology.Roles() {
			s.start(role, lane)
			s.start(role, lane)
		}
		start := time.Now().Add(15 * time.Second)
		var mu sync.Mutex
		due := make(dueTimes)
		s.fill(s.names.Events(lane), *events, func(partition, at int) topology.Record {
			event := mail(at*partitions + partition)
			event.Scheduled = start.Add(rand.N(*over)).UTC().Truncate(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			due.add(event, event.Scheduled)
			return recordOf(event)
		})
		restarts := int(*restarts)
		roles := []topology.Role{topology.RoleDelay, topology.RoleDeliver, topology.RoleMatch}
		for i := range restarts {
			at := *over * time.Duration(i+1) / time.Duration(restarts+1)
			s.pause(fmt.Sprintf("restart %d of %d", i+1, restarts), start.Add(at))
			s.replace(roles[i%len(roles)], i%4 == 3)
		}
		s.pause("the last events", start.Add(*over))
		s.await("sent", 250*time.Millisecond, func() (done, want int) {
			accepted, _ := provider.counts()
			return accepted, *events
		})
		s.stop()
		late, early, inGoal := provider.delays(due), 0, 0
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
			Title: fmt.Sprintf("schedules: %d events due over %v, two processes a role, %d restarts on the way, %d by "+
				"kill -9", *events, *over, restarts, restarts/4),
			Columns: times("", "% at most 1 s", "handed over again"),
			Rows:    [][]any{quantiles("late by", late, 100*float64(inGoal)/float64(len(late)), again)},
			Goals: []Goal{
				{fmt.Sprintf("%d early", early), early == 0},
				{fmt.Sprintf("p99 late by %.0f ms; at rest, without restarts, the goal is 1000", p99), p99 <= 1000},
			},
		}}
	}
}
