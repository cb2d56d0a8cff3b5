package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// redriveFigure has dead letters redriven by processes of which each but the last is killed, beside real-time events,
// and counts what the provider was handed. How long the events take is measured before and meanwhile.
func redriveFigure(flags *flag.FlagSet) func(*bench) []Table {
	letters := flags.Int("letters", 100_000, "how many dead letters are redriven")
	kills := flags.Int("kills", 5, "how often the process that redrives them is killed")
	rate := flags.Int("rate", 200, "most dead letters a second")
	load := flags.Int("load", 500, "real-time events a second")
	hold := flags.Duration("for", time.Minute, "how long the events are measured before; at least 5s")
	of := flags.String("lane", string(lane), "the lane of the dead letters")
	return func(b *bench) []Table {
		of := topology.Lane(*of)
		provider := startProvider(nil)
		defer provider.Close()
		s := b.newSystem("redrive", provider.entry("messages", topology.Email, ""))
		for _, l := range slices.Compact([]topology.Lane{lane, of}) {
			for _, role := range topology.Roles() {
				s.start(role, l)
			}
		}
		want := s.die(of, *letters) // and the load's, once it is published
		measure := func(what string, meanwhile func()) []float64 {
			due, stop := s.load(float64(*load))
			meanwhile()
			stop()
			s.await(what, 250*time.Millisecond, func() (done, want int) { return len(provider.delays(due)), len(due) })
			for job := range due {
				want[job] = time.Time{}
			}
			return provider.delays(due)
		}
		wait := func(d time.Duration) func() { return func() { s.pause("the load alone", time.Now().Add(d)) } }
		measure("warmed up", wait(warmUp))
		alone := measure("sent", wait(max(*hold, 5*time.Second)))
		began := time.Now()
		var took time.Duration
		beside := measure("sent", func() {
			s.redrive(of, *letters, *kills, *rate)
			took = time.Since(began)
		})
		topic := s.names.DeliveryLog(of)
		s.awaitCommitted(s.names.Group(topology.RoleMatch, of), s.names.Events(of), s.names.Redrive(of))
		s.awaitCommitted(s.names.DeliverGroup(of, topology.Email), s.names.Jobs(of))
		s.awaitCommitted(s.names.Group(topology.RoleStatus, of), topic)
		s.stop()
		accepted, again := provider.counts()
		lost := len(want) - len(provider.delays(want))
		twice := again + accepted - (len(want) - lost)
		before, during := quantile(alone, 0.99), quantile(beside, 0.99)
		return []Table{{
			Title: fmt.Sprintf("redrive: %d dead letters of the %s lane, at most %d a second, %d kill -9 of the process that "+
				"redrives them; beside %d real-time events a second", *letters, of, *rate, *kills, *load),
			Columns: times("real-time events, until the provider has them"),
			Rows:    [][]any{quantiles("before", alone), quantiles("while dead letters are redriven", beside)},
			Goals: []Goal{
				{fmt.Sprintf("%d lost of %d", lost, len(want)), lost == 0},
				{fmt.Sprintf("%d handed over twice, or that nobody asked for", twice), twice == 0},
				{fmt.Sprintf("p99 %.2f times that before; the goal is 1.2", during/before), during <= 1.2*before},
				{fmt.Sprintf("redriven within %v", took.Round(time.Second)), true},
			},
		}}
	}
}

// die makes dead letters, as another build would have, with what the delivery log says of them, and waits until Redis
// has that. It returns the jobs that are to come of them.
func (s *system) die(of topology.Lane, letters int) dueTimes {
	events := make([][]topology.Event, partitions)
	jobs := make(dueTimes, letters)
	for i := range letters {
		event := mail(i)
		events[i%partitions] = append(events[i%partitions], event)
		jobs[topology.JobIDOf(event.ID, 1)] = time.Time{}
	}
	now, build := time.Now(), s.names
	build.Build = "mended"
	s.fill(s.names.DeadLetters(of), letters, func(partition, at int) topology.Record {
		r := recordOf(events[partition][at])
		r.Topic, r.Partition, r.Offset = s.names.Events(of), partition, int64(at)
		fault := topology.Fault{Reason: topology.ReasonBadValue, Detail: "x"}
		return build.DeadLetter(of, &r, &fault, topology.RoleMatch, now)
	})
	s.fill(s.names.DeliveryLog(of), letters, func(partition, at int) topology.Record {
		entry := topology.Entry{EventID: events[partition][at].ID, Lane: of, Status: topology.NotCovered,
			Reason: topology.ReasonInvalid, At: now}
		return topology.Record{Key: []byte(entry.EventID), Value: entry.Append(nil)}
	})
	s.awaitCommitted(s.names.Group(topology.RoleStatus, of), s.names.DeliveryLog(of))
	return jobs
}

// load begins to publish real-time events by a client that is not ours. What it returns is complete when stop returns.
func (s *system) load(rate float64) (due dueTimes, stop func()) {
	client := script.Must(kgo.NewClient(kgo.SeedBrokers(s.broker.Brokers...), kgo.ProducerLinger(0),
		kgo.DefaultProduceTopic(string(s.names.Events(lane)))))
	due = make(dueTimes)
	ended := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		t := timetable{time.Now(), rate, 24 * time.Hour}
		for i := 0; retry.Sleep(s.ctx, time.Until(t.at(i))); i++ {
			select {
			case <-ended:
				return
			default:
			}
			event := mail(i)
			due.add(event, t.at(i))
			r := recordOf(event)
			client.Produce(s.ctx, &kgo.Record{Key: r.Key, Value: r.Value}, func(_ *kgo.Record, err error) {
				if err != nil {
					s.fail(err)
				}
			})
		}
	})
	return due, func() {
		close(ended)
		publishing.Wait()
		err := client.Flush(s.ctx)
		client.Close()
		script.Check(err)
	}
}

// redrive redrives all dead letters of a lane, and kills whoever does it at even distances.
func (s *system) redrive(of topology.Lane, letters, kills, rate int) {
	owner := s.command("dead-letters", "redrive", "--lane", string(of), "--count", strconv.Itoa(letters), "--rate",
		strconv.Itoa(rate))
	for kill := range kills {
		ended := make(chan error, 1)
		script.Check(owner.Start())
		go func() { ended <- owner.Wait() }()
		s.await("redriven", time.Second/2, func() (done, want int) {
			select {
			case err := <-ended:
				script.Check(fmt.Errorf("%v ended before it was killed: %w", owner.Args, err))
			default:
			}
			return s.ends(s.names.Redrive(of)), letters * (kill + 1) / (kills + 1)
		})
		_ = owner.Process.Signal(syscall.SIGKILL)
		<-ended
		var list struct{ Tasks []struct{ Task string } }
		script.Check(json.Unmarshal(script.Must(s.command("tasks", "list", "-o", "json").Output()), &list))
		owner = s.command("tasks", "resume", list.Tasks[0].Task)
	}
	script.Run(owner)
}

// command is one of the build that is measured. It ends with the bench.
func (s *system) command(args ...string) *exec.Cmd {
	command := exec.CommandContext(s.ctx, s.binary, args...)
	command.Env = s.environment
	return command
}
