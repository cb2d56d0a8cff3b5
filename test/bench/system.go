package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// samples is the folder of the templates that events are matched with.
const samples = "cmd/meddela/samples/templates"

// system is topics and keys of its own, and the processes of roles that work on them.
type system struct {
	*bench
	names       topology.Topics
	keys        topology.Keys
	environment []string
	groups      []string         // to be deleted
	topics      []topology.Topic // to be deleted
	processes   []*process
	loops       []func() error // ends each loop of this process
	// ambiguous counts what the processes have logged as such, those that were killed included.
	ambiguous atomic.Int64
}

// newSystem creates the topics, and publishes the sample templates. A channel without a provider has a sandbox.
func (b *bench) newSystem(name string, providers ...string) *system {
	s := &system{
		bench: b, names: topology.Topics{Prefix: "bench." + b.id + "." + name + "."},
		keys: topology.Keys{Prefix: b.keyPrefix() + name + ":"},
	}
	b.systems = append(b.systems, s)
	s.environment = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		// What says how to reach the servers stays.
		return strings.HasPrefix(setting, "MEDDELA_") && !strings.HasPrefix(setting, "MEDDELA_KAFKA_") &&
			!strings.HasPrefix(setting, "MEDDELA_REDIS_")
	})
	text := strings.Join(providers, "")
	others := slices.DeleteFunc(texts(topology.Channels()), func(channel string) bool {
		return strings.Contains(text, "["+channel+"]")
	})
	text += fmt.Sprintf("  - {name: sandbox, channels: [%s], kind: sandbox}\n", strings.Join(others, ", "))
	path := filepath.Join(s.dir, "providers"+s.names.Prefix+"yaml")
	script.Check(os.WriteFile(path, []byte("providers:\n"+text), 0o600))
	s.environment = append(s.environment, "MEDDELA_TOPIC_PREFIX="+s.names.Prefix, "MEDDELA_KEY_PREFIX="+s.keys.Prefix,
		"MEDDELA_LOG_LEVEL=warn", "MEDDELA_LOG_FORMAT=json", "MEDDELA_HTTP_ADDR=-", "MEDDELA_SANDBOX_CHANNELS=",
		"MEDDELA_PROVIDERS_FILE="+path)
	for _, l := range topology.Lanes() {
		for _, role := range topology.Roles() {
			s.groups = append(s.groups, s.names.Groups(role, l)...)
		}
	}
	specs := s.names.Specs(topology.Sizing{Partitions: partitions, DeadLetterPartitions: partitions, Replication: -1})
	for _, spec := range specs {
		s.topics = append(s.topics, spec.Name)
	}
	progress("creating %d topics", len(specs))
	client := &kafka.Client{Addr: b.broker.Addr(), Transport: b.transport, Timeout: 30 * time.Second}
	script.Check(provision.Create(b.ctx, client, specs))
	script.Check(provision.AwaitLeaders(b.ctx, client, s.topics))
	script.Run(s.command("templates", "publish", samples, "--diff=false"))
	return s
}

// follow starts a follower of the templates, and waits until it has them.
func (s *system) follow() *catalogue.Follower {
	transport := s.broker.Transport()
	source := follow.FromTopic(s.broker.Addr(), transport, s.names.Templates(), zerolog.Nop())
	follower := catalogue.NewFollower(source, zerolog.Nop())
	s.background(transport, func(ctx context.Context) error { follower.Run(ctx); return nil })
	script.Check(follower.AwaitReady(s.ctx))
	return follower
}

// run runs a role's loop in this process, with its own defaults and another handler.
func (s *system) run(role topology.Role, handler consumer.Handler, topics ...topology.Topic) *consumer.Loop {
	transport := s.broker.Transport()
	loop := consumer.New(consumer.Config{
		Role: role, Lane: lane, Names: s.names, Topics: topics, Handler: handler,
		Publisher: &producer.Publisher{Addr: s.broker.Addr(), Transport: transport, Log: zerolog.Nop()},
		Brokers:   s.broker.Brokers, Transport: transport, Log: zerolog.Nop(),
	})
	s.background(transport, loop.Run)
	return loop
}

// background runs a loop, over connections of its own, until stop is called.
func (s *system) background(transport *kafka.Transport, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(s.ctx)
	var running errgroup.Group
	running.Go(func() error { return run(ctx) })
	s.loops = append(s.loops, func() error {
		cancel()
		defer transport.CloseIdleConnections()
		return running.Wait()
	})
}

// process plays a role.
type process struct {
	role    topology.Role
	cmd     *exec.Cmd
	leaving atomic.Bool // it was told to end
	ended   chan struct{}
	err     error // after ended, with the end of its log
}

// start starts a role as it is deployed. All fails if it ends by itself.
func (s *system) start(role topology.Role, lane topology.Lane, environment ...string) {
	command := exec.Command(s.binary, "run", string(role), "--lane", string(lane))
	command.Env = append(slices.Clone(s.environment), environment...)
	p := &process{role: role, cmd: command, ended: make(chan struct{})}
	log := script.Must(command.StderrPipe())
	script.Check(command.Start())
	s.processes = append(s.processes, p)
	go func() {
		defer close(p.ended)
		var said []string
		lines := bufio.NewScanner(log)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"reason":"ambiguous"`) {
				s.ambiguous.Add(1)
			}
			said = append(said[max(len(said)-20, 0):], lines.Text())
		}
		err := command.Wait()
		end := fmt.Errorf("%s: %v\n%s", role, command.ProcessState, strings.Join(said, "\n"))
		if err != nil {
			p.err = end
		}
		if !p.leaving.Load() {
			s.fail(fmt.Errorf("ended before it was stopped: %w", end))
		}
	}()
}

// end tells a process to end, and waits until it has.
func (p *process) end(signal syscall.Signal) error {
	p.leaving.Store(true)
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.err
}

// running are the processes of some roles, or all without any, the eldest first.
func (s *system) running(roles ...topology.Role) (running []*process) {
	for _, p := range s.processes {
		if !p.leaving.Load() && (len(roles) == 0 || slices.Contains(roles, p.role)) {
			running = append(running, p)
		}
	}
	return running
}

// stop ends the loops, and the processes of some roles, or all without any.
func (s *system) stop(roles ...topology.Role) {
	var ending errgroup.Group
	for _, stop := range s.loops {
		ending.Go(stop)
	}
	for _, p := range s.running(roles...) {
		ending.Go(func() error { return p.end(syscall.SIGTERM) })
	}
	s.loops = nil
	script.Check(ending.Wait())
}

// replace ends a process of the measured lane, by kill -9 or as a roll-out does, and starts another.
func (s *system) replace(role topology.Role, kill bool) {
	candidates := s.running(role)
	p := candidates[0] // of a roll-out, the eldest
	if kill {
		p = candidates[rand.IntN(len(candidates))]
		_ = p.end(syscall.SIGKILL)
	} else {
		script.Check(p.end(syscall.SIGTERM))
	}
	s.start(role, lane)
}

func (s *system) pause(what string, until time.Time) {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		progress("%s: %v to go", what, left.Round(time.Second))
		retry.Sleep(s.ctx, min(time.Second, left))
		script.Check(context.Cause(s.ctx))
	}
}

// await looks again and again until a count is what is wanted. It fails when the count stands still for long. It rests
// at least as long as it looks, so that on a busy machine it does not become the load that is measured.
func (s *system) await(what string, interval time.Duration, look func() (done, want int)) {
	for last, since := -1, time.Now(); ; {
		began := time.Now()
		done, want := look()
		if done >= want {
			return
		}
		if done != last {
			last, since = done, began
		}
		if began.Sub(since) > patience {
			script.Check(fmt.Errorf("%s: %d of %d, and for %v no other", what, done, want, patience))
		}
		progress("%s: %d of %d", what, done, want)
		retry.Sleep(s.ctx, max(interval, time.Since(began)))
		script.Check(context.Cause(s.ctx))
	}
}

// awaitCommitted waits until a group has committed all of some topics.
func (s *system) awaitCommitted(group string, topics ...topology.Topic) {
	s.await(group, 250*time.Millisecond, func() (done, want int) {
		ends := s.ends(topics...)
		return ends - s.behind(group, topics...), ends
	})
}

// ends is how many records were ever written to some topics.
func (s *system) ends(topics ...topology.Topic) (total int) {
	ends := script.Must(s.kafka.ListEndOffsets(s.ctx, texts(topics)...))
	script.Check(ends.Error())
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	return total
}

// behind is how many records of some topics a group has not committed yet.
func (s *system) behind(group string, topics ...topology.Topic) int {
	lag := s.ends(topics...)
	committed, err := s.kafka.FetchOffsets(s.ctx, group)
	if !errors.Is(err, kerr.GroupIDNotFound) {
		script.Check(errors.Join(err, committed.Error()))
	}
	committed.Each(func(o kadm.OffsetResponse) {
		if slices.Contains(topics, topology.Topic(o.Topic)) {
			lag -= int(max(o.At, 0))
		}
	})
	return lag
}

// whenGone does something to a group that is refused, with an error of a kind, while members that were killed count as
// such still.
func (s *system) whenGone(refusal error, do func() error) error {
	const session = 20 * time.Second
	for end := time.Now().Add(session); ; {
		err := do()
		if !errors.Is(err, refusal) || time.Now().After(end) {
			return err
		}
		progress("waiting for the sessions of those that were killed")
		if !retry.Sleep(s.ctx, 500*time.Millisecond) {
			return s.ctx.Err()
		}
	}
}

// rewind lets a group whose members have all gone begin a topic anew.
func (s *system) rewind(group string, topic topology.Topic) {
	offsets := script.Must(s.kafka.ListStartOffsets(s.ctx, string(topic))).Offsets()
	script.Check(s.whenGone(kerr.UnknownMemberID, func() error { return s.kafka.CommitAllOffsets(s.ctx, group, offsets) }))
}

func (s *system) delete() {
	for _, group := range s.groups {
		err := s.whenGone(kerr.NonEmptyGroup, func() error {
			_, err := s.kafka.DeleteGroup(s.ctx, group)
			return err
		})
		if !errors.Is(err, kerr.GroupIDNotFound) {
			script.Check(err)
		}
	}
	script.Check(script.Must(s.kafka.DeleteTopics(s.ctx, texts(s.topics)...)).Error())
}

func texts[T ~string](named []T) []string {
	all := make([]string, len(named))
	for i, n := range named {
		all[i] = string(n)
	}
	return all
}
