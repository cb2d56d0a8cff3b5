package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// fault is something that goes wrong, and is mended.
type fault struct {
	kind string
	// bound is what bounds how long messages may wait for it.
	bound string
	// make makes and mends it. It returns how the fault was seen to bite; nothing is that it was not.
	make func(s *stand, chance *rand.Rand) string
}

// planned is a fault of a plan, with the number that its choices follow from.
type planned struct {
	fault
	chance uint64
}

// newPlan has every kind once, in an order by the seed, and then again in other orders.
func newPlan(set settings) (plan []planned) {
	chance := rand.New(rand.NewPCG(set.seed, 0))
	only := strings.Split(set.only, ",")
	for _, kind := range only {
		if set.only != "" && !slices.ContainsFunc(faults, func(f fault) bool { return f.kind == kind }) {
			script.Check(fmt.Errorf("no fault is called %s", kind))
		}
	}
	const most = 50 // of each kind
	for range most {
		for _, i := range chance.Perm(len(faults)) {
			f := planned{faults[i], chance.Uint64()}
			if set.only == "" || slices.Contains(only, f.kind) {
				plan = append(plan, f)
			}
		}
	}
	return plan
}

// redisEmptied is the one kind with which goes what nothing else knows: what a deliverer sent that died.
const redisEmptied = "Redis emptied"

// clockAhead is the one kind with which messages may be sent too early.
const clockAhead = "clock ahead"

const (
	bySession = "session timeout, 6 s"
	byLease   = "claim lease, 11 s"
	byBroker  = "broker session, 9 s, and joining"
	byReplica = "Sentinel, which needs some 10 s to give the new primary a replica"
	byItself  = "as long as it lasts"
)

// killedMeanwhile is made while others last, and not by itself.
var killedMeanwhile = fault{"process killed meanwhile", "the fault that it falls into, and " + bySession,
	func(s *stand, chance *rand.Rand) string { return s.kill(chance, 0) }}

var faults = []fault{
	{"process killed", bySession, func(s *stand, chance *rand.Rand) string {
		return s.kill(chance, time.Duration(chance.IntN(3))*time.Second)
	}},
	{"deliverer in a crash loop", bySession + ", for its partitions", func(s *stand, chance *rand.Rand) string {
		calm := s.awaitCalm()
		p, crashes, from := s.pick(chance, topology.RoleDeliver), 0, time.Now()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); crashes++ {
			s.leave(p, syscall.SIGKILL)
			p = s.startAs(p.name, p.role, p.lane)
			s.awaitReady(p)
			s.pause(time.Second)
		}
		s.pause(lease)    // what it had in its hands waits for so long
		var most []string // by partition
		for of, waits := range s.waits(from, time.Now()) {
			if slices.Sort(waits); of.lane == topology.Realtime {
				most = append(most, fmt.Sprintf("%.2f s", percentile(waits, 99).Seconds()))
			}
		}
		slices.Sort(most)
		return fmt.Sprintf("%s%d crashes; p99 by partition: %s", calm, crashes, strings.Join(most, " "))
	}},
	{"process stopped", "joining", func(s *stand, chance *rand.Rand) string {
		p := s.pick(chance)
		s.leave(p, syscall.SIGTERM)
		s.startRole(p.role, p.lane)
		return p.name + ": " + p.command.ProcessState.String()
	}},
	{"process frozen past session", bySession, func(s *stand, chance *rand.Rand) string {
		return s.freeze(s.pick(chance), session+2*time.Second)
	}},
	{"deliverer frozen past lease", byLease, func(s *stand, chance *rand.Rand) string {
		return s.freeze(s.pick(chance, topology.RoleDeliver), lease+2*time.Second)
	}},
	{"broker killed", byBroker, func(s *stand, chance *rand.Rand) string {
		name := broker(chance)
		s.servers("kill", name)
		seen := s.seen(name)
		s.servers("start", name)
		return seen
	}},
	{"broker restarted", "joining", func(s *stand, chance *rand.Rand) string { return s.restart(broker(chance)) }},
	{"brokers restarted in turn", "upstream's gap and 1 s", func(s *stand, _ *rand.Rand) string {
		return s.awaitCalm() + s.restart("kafka-1") + ", " + s.restart("kafka-2") + ", " + s.restart("kafka-3")
	}},
	{"broker's disk full", byBroker, func(s *stand, chance *rand.Rand) string {
		name := broker(chance)
		script.Run(exec.Command("prlimit", "--fsize=1", "--pid", strconv.Itoa(s.serverPid(name))))
		return s.comeBack(name)
	}},
	{"quorum lost", "as long as two brokers take to start", func(s *stand, chance *rand.Rand) string {
		names := []string{"kafka-1", "kafka-2", "kafka-3"}
		chance.Shuffle(3, func(i, j int) { names[i], names[j] = names[j], names[i] })
		s.servers("kill", names[0])
		s.servers("kill", names[1])
		seen := s.seen(names[:2]...)
		s.pause(3 * time.Second)
		s.servers("start", names[0])
		s.servers("start", names[1])
		return seen
	}},
	{"Redis killed", byReplica, func(s *stand, _ *rand.Rand) string {
		return s.failOver(func(name string) { s.servers("kill", name) }, func(name string) { s.servers("start", name) })
	}},
	{"Redis cut off", byReplica, func(s *stand, _ *rand.Rand) string {
		return s.failOver(func(name string) { s.network[name].Stop() },
			func(name string) { script.Check(s.network[name].Start()) })
	}},
	{"Redis half-open", byReplica, func(s *stand, _ *rand.Rand) string {
		return s.failOver(func(name string) { s.network.poison(halfOpen, name) }, func(name string) { s.network.heal(name) })
	}},
	{"Redis fails over, 2 s behind", byReplica + ", and reading the log again", func(s *stand, _ *rand.Rand) string {
		from, lost := time.Now(), s.primary()
		replica := s.store(map[string]string{"redis-1": "redis-2", "redis-2": "redis-1"}[lost])
		script.Check(replica.ReplicaOf(s.ctx, "127.0.0.1", "1").Err())
		_ = replica.Close()
		s.pause(2 * time.Second)
		seen := s.failOver(func(name string) { s.servers("kill", name) }, func(name string) { s.servers("start", name) })
		return seen + s.noticed(from)
	}},
	{"Redis frozen", byItself, func(s *stand, _ *rand.Rand) string {
		pid := s.serverPid(s.primary())
		script.Check(syscall.Kill(pid, syscall.SIGSTOP))
		s.pause(700 * time.Millisecond)
		seen := s.state(pid)
		script.Check(syscall.Kill(pid, syscall.SIGCONT))
		return seen
	}},
	{redisEmptied, "reading the log again", func(s *stand, _ *rand.Rand) string {
		from, client := time.Now(), s.store(s.primary())
		defer func() { _ = client.Close() }()
		keys := script.Must(client.DBSize(s.ctx).Result())
		script.Check(client.FlushAll(s.ctx).Err())
		return fmt.Sprintf("%d keys went", keys) + s.noticed(from)
	}},
	{"Redis read-only", byItself, func(s *stand, chance *rand.Rand) string {
		return s.configure(chance, "min-replicas-to-write", "3", "0")
	}},
	{"Redis full", byItself, func(s *stand, chance *rand.Rand) string {
		return s.configure(chance, "maxmemory", "1", "0")
	}},
	{"Redis slow", byItself, func(s *stand, chance *rand.Rand) string {
		return s.ill(chance, slowStore, s.primary())
	}},
	{"broker cut off", "requests' time, 10 s", func(s *stand, chance *rand.Rand) string {
		return s.cut(chance, broker(chance))
	}},
	{"broker half-open", "requests' time, 10 s", func(s *stand, chance *rand.Rand) string {
		return s.ill(chance, halfOpen, broker(chance))
	}},
	{"brokers slow", byItself, func(s *stand, chance *rand.Rand) string {
		return s.ill(chance, slowly, "kafka-1", "kafka-2", "kafka-3")
	}},
	{"provider cut off", byItself, func(s *stand, chance *rand.Rand) string { return s.cut(chance, "provider") }},
	{"provider down", "none: the other one", func(s *stand, chance *rand.Rand) string {
		return s.sicken(chance, "down", "/a")
	}},
	{"both providers down", byItself + ", 10 s till the next attempt", func(s *stand, chance *rand.Rand) string {
		return s.sicken(chance, "down", "/a", "/b")
	}},
	{"providers slow", "1.5 s an answer", func(s *stand, chance *rand.Rand) string {
		return s.sicken(chance, "slow", "/a", "/b")
	}},
	{"provider throttling", "none: the other one", func(s *stand, chance *rand.Rand) string {
		return s.sicken(chance, "throttling", "/a")
	}},
	{"answers lost", "10 s till the next attempt", func(s *stand, chance *rand.Rand) string {
		return s.sicken(chance, "mute", "/a")
	}},
	{"partitions added", "joining", (*stand).addPartitions},
	{"role rolled out", "joining", func(s *stand, chance *rand.Rand) string {
		first := s.pick(chance)
		for _, p := range slices.Clone(s.processes) {
			if p.role == first.role && p.lane == first.lane {
				s.replace(p)
			}
		}
		return string(first.lane) + " " + string(first.role)
	}},
	{clockAhead, "joining", func(s *stand, chance *rand.Rand) string { return s.skew(s.pick(chance), time.Minute) }},
	{"clock behind", "joining", func(s *stand, chance *rand.Rand) string { return s.skew(s.pick(chance), -time.Minute) }},
	{"one more and one less", "joining", func(s *stand, chance *rand.Rand) string {
		like := s.pick(chance)
		p := s.startRole(like.role, like.lane)
		s.awaitReady(p)
		s.pause(3 * time.Second)
		s.leave(p, syscall.SIGTERM)
		return p.name
	}},
}

// shortly is how long most faults last.
const shortly = 5 * time.Second

func broker(chance *rand.Rand) string { return fmt.Sprintf("kafka-%d", 1+chance.IntN(3)) }

// meanwhile is how long most faults last: two processes die of something else.
func (s *stand) meanwhile(chance *rand.Rand) {
	for range 2 {
		h := happened{fault: killedMeanwhile, from: time.Now()}
		h.seen = h.make(s, chance)
		s.pause(shortly / 2)
		h.to = time.Now()
		s.report.made = append(s.report.made, h)
	}
}

// kill kills a process, and starts another in its place after a while.
func (s *stand) kill(chance *rand.Rand, after time.Duration) string {
	p := s.pick(chance)
	s.leave(p, syscall.SIGKILL)
	s.pause(after)
	s.startRole(p.role, p.lane)
	return p.name + ": " + p.command.ProcessState.String()
}

// pick is one of the processes, of a role or of any.
func (s *stand) pick(chance *rand.Rand, role ...topology.Role) *process {
	some := slices.DeleteFunc(slices.Clone(s.processes), func(p *process) bool {
		return len(role) > 0 && !slices.Contains(role, p.role)
	})
	return some[chance.IntN(len(some))]
}

// skew has a process's place be taken for a while by one with a clock that is wrong.
func (s *stand) skew(p *process, ahead time.Duration) string {
	s.leave(p, syscall.SIGTERM)
	s.ahead = ahead
	wrong := s.startRole(p.role, p.lane)
	s.ahead = 0
	s.awaitReady(wrong)
	s.pause(shortly)
	response := script.Must(http.Get("http://" + wrong.http + "/livez"))
	_ = response.Body.Close()
	is := time.Until(script.Must(http.ParseTime(response.Header.Get("Date"))))
	s.leave(wrong, syscall.SIGTERM)
	s.startRole(p.role, p.lane)
	if (is - ahead).Abs() > 2*time.Second {
		return ""
	}
	return fmt.Sprintf("%s at %v", wrong.name, is.Round(time.Second))
}

// noticed waits until both lanes tell that Redis has lost something.
func (s *stand) noticed(from time.Time) string {
	for lane := range shares {
		s.until(string(lane)+" notices what Redis lost", func() bool {
			return slices.ContainsFunc(s.processes, func(p *process) bool { return p.lane == lane && p.lostAt().After(from) })
		})
	}
	return fmt.Sprintf(", noticed after %v", time.Since(from).Round(time.Second/10))
}

func (s *stand) freeze(p *process, lasts time.Duration) string {
	script.Check(p.command.Process.Signal(syscall.SIGSTOP))
	s.pause(lasts)
	seen := s.state(p.command.Process.Pid)
	script.Check(p.command.Process.Signal(syscall.SIGCONT))
	if seen == "" {
		return ""
	}
	return fmt.Sprintf("%s %s after %v", p.name, seen, lasts)
}

// state says that a process stands still; nothing if it does not.
func (s *stand) state(pid int) string {
	_, rest, _ := strings.Cut(string(script.Must(os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)))), ") ")
	if !strings.HasPrefix(rest, "T") {
		return ""
	}
	return "stood still"
}

func (s *stand) serverRuns(name string) bool { return syscall.Kill(s.serverPid(name), 0) == nil }

// restart stops a server in good order, and starts it again.
func (s *stand) restart(name string) string {
	script.Check(syscall.Kill(s.serverPid(name), syscall.SIGTERM))
	return s.comeBack(name)
}

// comeBack waits until a server has gone, and starts it again.
func (s *stand) comeBack(name string) (seen string) {
	s.until(name+" has gone", func() bool { seen = s.seen(name); return seen != "" && !s.serverRuns(name) })
	s.servers("start", name)
	return seen
}

// seen is how the program sees some servers, if any is not well.
func (s *stand) seen(names ...string) string {
	var all []string
	for _, name := range names {
		if how := s.probe(name); how != "" {
			all = append(all, name+" "+how)
		}
	}
	return strings.Join(all, ", ")
}

// cut takes a server from the network for a while.
func (s *stand) cut(chance *rand.Rand, name string) string {
	s.network[name].Stop()
	seen := s.seen(name)
	s.meanwhile(chance)
	script.Check(s.network[name].Start())
	return seen
}

// ill has the network to some servers be poisoned for a while.
func (s *stand) ill(chance *rand.Rand, toxic string, names ...string) string {
	s.network.poison(toxic, names...)
	seen := s.seen(names...)
	s.meanwhile(chance)
	s.network.heal(names...)
	return seen
}

// sicken has the providers at some paths be ill for a while.
func (s *stand) sicken(chance *rand.Rand, mode string, paths ...string) string {
	s.provider.set(mode, paths...)
	s.meanwhile(chance)
	if met := s.provider.set("", paths...); met > 0 {
		return fmt.Sprintf("%d requests met it", met)
	}
	return ""
}

// configure sets a setting of the primary for a while, in which writes should be refused.
func (s *stand) configure(chance *rand.Rand, setting, ill, well string) string {
	client := s.store(s.primary())
	defer func() { _ = client.Close() }()
	script.Check(client.ConfigSet(s.ctx, setting, ill).Err())
	refused := client.Set(s.ctx, "probe", "", time.Second).Err()
	s.meanwhile(chance)
	script.Check(client.ConfigSet(s.ctx, setting, well).Err())
	if refused == nil {
		return ""
	}
	return refused.Error()
}

// failOver loses the primary, until the sentinels have made the other one that, and waits until that has a replica
// again: without one nothing is sent (MEDDELA_CLAIM_REPLICAS).
func (s *stand) failOver(lose, bring func(name string)) string {
	lost := s.primary()
	lose(lost)
	s.until("failover", func() bool { return s.primary() != lost })
	bring(lost)
	s.until("a replica", func() bool {
		client := s.store(s.primary())
		defer func() { _ = client.Close() }()
		info, err := client.Info(s.ctx, "replication").Result()
		return err == nil && strings.Contains(info, "state=online")
	})
	return s.primary() + " took over"
}

// addPartitions gives each topic of a lane one more; what the program writes to first, so that none is missing there.
func (s *stand) addPartitions(chance *rand.Rand) string {
	lane := topology.Lanes()[chance.IntN(len(topology.Lanes()))]
	client := kadm.NewClient(script.Must(kgo.NewClient(kgo.SeedBrokers(s.addrs(kafkaPort)...))))
	defer client.Close()
	var topics []string
	for _, topic := range s.names.All() {
		if of, ok := s.names.LaneOf(topic); ok && of == lane && topic != s.names.DeadLetters(lane) &&
			topic != s.names.Events(lane) {
			topics = append(topics, string(topic))
		}
	}
	topics = append(topics, string(s.names.Events(lane)))
	for _, topic := range topics {
		script.Check(script.Must(client.CreatePartitions(s.ctx, 1, topic)).Error())
	}
	return fmt.Sprintf("to %d topics of %s", len(topics), lane)
}
