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
	"sync"
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

// newSystem creates the topics of a lane, and those that lanes share; without a lane, all.
func (b *bench) newSystem(name string, lanes ...topology.Lane) *system {
	s := &system{
		bench: b, names: topology.Topics{Prefix: "bench." + b.id + "." + name + "."},
		keys: topology.Keys{Prefix: b.keyPrefix() + name + ":"},
	}
	b.systems = append(b.systems, s)
	for _, setting := range os.Environ() { // only what says how to reach the servers
		if !strings.HasPrefix(setting, "MEDDELA_") || strings.HasPrefix(setting, "MEDDELA_KAFKA_") ||
			strings.HasPrefix(setting, "MEDDELA_REDIS_") {
			s.environment = append(s.environment, setting)
		}
	}
	s.environment = append(s.environment, "MEDDELA_TOPIC_PREFIX="+s.names.Prefix, "MEDDELA_KEY_PREFIX="+s.keys.Prefix,
		"MEDDELA_LOG_LEVEL=warn", "MEDDELA_LOG_FORMAT=json", "MEDDELA_HTTP_ADDR=-", "MEDDELA_SANDBOX_CHANNELS=all")
	if len(lanes) == 0 {
		lanes = topology.Lanes()
	}
	for _, l := range lanes {
		for _, role := range topology.Roles() {
			s.groups = append(s.groups, s.names.Groups(role, l)...)
		}
	}
	var specs []topology.TopicSpec
	sizing := topology.Sizing{Partitions: partitions, DeadLetterPartitions: 3, Replication: -1}
	for _, spec := range s.names.Specs(sizing) {
		if l, ok := s.names.LaneOf(spec.Name); !ok || slices.Contains(lanes, l) {
			specs, s.topics = append(specs, spec), append(s.topics, spec.Name)
		}
	}
	progress("creating %d topics", len(specs))
	client := &kafka.Client{Addr: b.broker.Addr(), Transport: b.transport, Timeout: 30 * time.Second}
	script.Check(provision.Create(b.ctx, client, specs))
	script.Check(provision.AwaitLeaders(b.ctx, client, s.topics))
	s.providers("")
	return s
}

// providers writes the configuration of providers that the roles use. A channel that it does not name has a sandbox.
func (s *system) providers(text string) {
	others := texts(topology.Channels())
	others = slices.DeleteFunc(others, func(c string) bool { return strings.Contains(text, "["+c+"]") })
	text = "providers:\n" + text +
		fmt.Sprintf("  - {name: sandbox, channels: [%s], kind: sandbox}\n", strings.Join(others, ", "))
	path := filepath.Join(s.dir, "providers"+s.names.Prefix+"yaml")
	script.Check(os.WriteFile(path, []byte(text), 0o600))
	s.environment = append(s.environment, "MEDDELA_PROVIDERS_FILE="+path, "MEDDELA_SANDBOX_CHANNELS=")
}

// publishSamples publishes the sample templates.
func (s *system) publishSamples() {
	command := exec.CommandContext(s.ctx, s.binary, "templates", "publish", samples, "--diff=false")
	command.Env = s.environment
	if out, err := command.CombinedOutput(); err != nil {
		script.Check(fmt.Errorf("publishing the sample templates: %w\n%s", err, out))
	}
}

// catalogue is the templates that are published, as a role reads them.
func (s *system) catalogue() *catalogue.Catalogue {
	ctx, stop := context.WithCancel(s.ctx)
	follower, running := s.follow(ctx)
	err := follower.AwaitReady(ctx)
	stop()
	running.Wait()
	script.Check(err)
	return follower.Catalogue()
}

// follow starts a follower of the templates, over connections of its own, that ends with ctx.
func (s *system) follow(ctx context.Context) (*catalogue.Follower, *sync.WaitGroup) {
	transport := s.broker.Transport()
	follower := catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(s.broker.Addr(), transport, s.names.Templates()), Log: zerolog.Nop(),
	})
	running := new(sync.WaitGroup)
	running.Go(func() { follower.Run(ctx); transport.CloseIdleConnections() })
	return follower, running
}

// process plays a role.
type process struct {
	role  topology.Role
	lane  topology.Lane
	cmd   *exec.Cmd
	ended chan struct{}
	err   error    // after ended
	said  []string // the end of its log, after ended
}

// start starts a role as it is deployed.
func (s *system) start(role topology.Role, lane topology.Lane, environment ...string) *process {
	command := exec.Command(s.binary, "run", string(role), "--lane", string(lane))
	command.Env = append(slices.Clone(s.environment), environment...)
	p := &process{role: role, lane: lane, cmd: command, ended: make(chan struct{})}
	log := script.Must(command.StderrPipe())
	script.Check(command.Start())
	s.processes = append(s.processes, p)
	go func() {
		lines := bufio.NewScanner(log)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"reason":"ambiguous"`) {
				s.ambiguous.Add(1)
			}
			p.said = append(p.said[max(len(p.said)-20, 0):], lines.Text())
		}
		p.err = command.Wait()
		close(p.ended)
	}()
	return p
}

// run runs a role's loop in this process, with its own defaults and another handler, until stop is called.
func (s *system) run(
	role topology.Role, handler consumer.Handler, topics ...topology.Topic,
) (loop *consumer.Loop, stop func() error) {
	transport := s.broker.Transport()
	loop = consumer.New(consumer.Config{
		Role: role, Lane: lane, Names: s.names, Topics: topics, Handler: handler,
		Publisher: &producer.Publisher{Addr: s.broker.Addr(), Transport: transport, Log: zerolog.Nop()},
		Brokers:   s.broker.Brokers, Dialer: s.broker.Dialer(), Transport: transport, Log: zerolog.Nop(),
	})
	ctx, cancel := context.WithCancel(s.ctx)
	var running errgroup.Group
	running.Go(func() error { return loop.Run(ctx) })
	stop = func() error {
		cancel()
		defer transport.CloseIdleConnections()
		return running.Wait()
	}
	s.loops = append(s.loops, stop)
	return loop, stop
}

// alive returns an error when a process has ended by itself.
func (s *system) alive() error {
	for _, p := range s.processes {
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended before it was stopped: %v\n%s", p.role, p.err, strings.Join(p.said, "\n"))
		default:
		}
	}
	return nil
}

// stop asks the processes of some roles to finish, or all without any, and waits for them.
func (s *system) stop(roles ...topology.Role) {
	leaves := func(p *process) bool { return len(roles) == 0 || slices.Contains(roles, p.role) }
	leaving := slices.DeleteFunc(slices.Clone(s.processes), func(p *process) bool { return !leaves(p) })
	s.processes = slices.DeleteFunc(s.processes, leaves)
	var errs []error
	for _, stop := range s.loops {
		errs = append(errs, stop())
	}
	for _, p := range leaving {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range leaving {
		select {
		case <-p.ended:
		case <-time.After(30 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if p.err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w\n%s", p.role, p.err, strings.Join(p.said, "\n")))
		}
	}
	script.Check(errors.Join(errs...))
}

// replace ends a process of a role, by kill -9 or as a roll-out does, and starts another.
func (s *system) replace(role topology.Role, kill bool) {
	script.Check(s.alive())
	others := func(p *process) bool { return p.role != role }
	candidates := slices.DeleteFunc(slices.Clone(s.processes), others)
	p := candidates[0] // of a roll-out, the eldest
	signal := syscall.SIGTERM
	if kill {
		p, signal = candidates[rand.IntN(len(candidates))], syscall.SIGKILL
	}
	s.processes = slices.DeleteFunc(s.processes, func(other *process) bool { return other == p })
	script.Check(p.cmd.Process.Signal(signal))
	<-p.ended
	if !kill {
		script.Check(p.err)
	}
	s.start(p.role, p.lane)
}

func (s *system) pids() map[string]int {
	pids := make(map[string]int)
	for _, p := range s.processes {
		pids[string(p.role)] = p.cmd.Process.Pid
	}
	return pids
}

// pause waits until a time while all processes run.
func (s *system) pause(what string, until time.Time) {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		progress("%s: %v to go", what, left.Round(time.Second))
		retry.Sleep(s.ctx, min(time.Second, left))
		script.Check(errors.Join(s.alive(), s.ctx.Err()))
	}
}

// await looks again and again until a count is what is wanted. It fails when the count stands still for long, or a
// process ends.
func (s *system) await(what string, interval time.Duration, look func() (done, want int)) {
	last, since := -1, time.Now()
	for {
		done, want := look()
		if done >= want {
			return
		}
		if done != last {
			last, since = done, time.Now()
		}
		if time.Since(since) > patience {
			script.Check(fmt.Errorf("%s: %d of %d, and for %v no other", what, done, want, patience))
		}
		progress("%s: %d of %d", what, done, want)
		retry.Sleep(s.ctx, interval)
		script.Check(errors.Join(s.alive(), s.ctx.Err()))
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
	offsets := make(kadm.Offsets)
	for p := range partitions {
		offsets.AddOffset(string(topic), int32(p), 0, -1)
	}
	script.Check(s.whenGone(kerr.UnknownMemberID, func() error { return s.kafka.CommitAllOffsets(s.ctx, group, offsets) }))
}

// delete deletes the groups and topics.
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
