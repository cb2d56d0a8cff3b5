package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// stand is everything that runs.
type stand struct {
	settings
	ctx       context.Context
	names     topology.Topics
	keys      topology.Keys
	network   network
	provider  *provider
	upstream  *upstream
	processes []*process
	started   int
	ahead     time.Duration // is the clock of processes that start
	report    report
}

// What is waited for after a process dies, and a deliverer with a message in its hands: below the defaults, so that
// more faults fit into a time.
const (
	session = 6 * time.Second
	lease   = 11 * time.Second
)

// crew are the processes of a role or a lane that run all the time.
var crew = []struct {
	role  topology.Role
	lane  topology.Lane
	count int
}{
	{topology.RoleMatch, topology.Realtime, 2}, {topology.RoleDeliver, topology.Realtime, 3},
	{topology.RoleStatus, topology.Realtime, 2}, {topology.RoleDelay, topology.Realtime, 2},
	{"all", topology.Batch, 2},
}

// Ports of test/servers, before the offset.
const kafkaPort, redisPort, sentinelPort = 19092, 16379, 18379

func (s *stand) addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+s.offset) }

// addrs are three addresses, of ports one after the other.
func (s *stand) addrs(port int) []string {
	return []string{s.addr(port), s.addr(port + 1), s.addr(port + 2)}
}

func newStand(ctx context.Context, set settings) *stand {
	return &stand{settings: set, ctx: ctx, names: topology.Topics{Prefix: "meddela."},
		keys: topology.Keys{Prefix: "meddela:"}, network: make(network), provider: startProvider()}
}

func (s *stand) start() {
	for i := range 3 {
		s.network.add(fmt.Sprintf("kafka-%d", i+1), s.addr(kafkaPort+toProxy+i), s.addr(kafkaPort+toListener+i))
	}
	for i := range 2 {
		s.network.add(fmt.Sprintf("redis-%d", i+1), s.addr(redisPort+toProxy+i), s.addr(redisPort+i))
	}
	before := s.network.add("provider", "127.0.0.1:0", s.provider.Listener.Addr().String()).Listen
	s.servers("up")
	script.Check(os.MkdirAll(filepath.Join(s.dir, "logs"), 0o755))
	file := strings.ReplaceAll(providersFile, "ADDR", before)
	script.Check(os.WriteFile(filepath.Join(s.dir, "providers.yaml"), []byte(file), 0o600))
	script.Run(exec.Command("go", "build", "-o", s.binary(), "./cmd/meddela"))
	script.Run(exec.Command("go", "build", "-overlay", s.wrongClock(), "-o", s.skewed(), "./cmd/meddela"))
	script.Must(s.call("topics", "apply"))
	script.Must(s.call("suppressions", "add", suppressedAddress, "--reason", "unsubscribed"))
	script.Must(s.call("templates", "publish", "cmd/meddela/samples/templates", "--diff=false"))
	for _, c := range crew {
		for range c.count {
			s.startRole(c.role, c.lane)
		}
	}
	for _, p := range s.processes {
		s.awaitReady(p)
	}
	s.upstream = startUpstream(s.ctx, s.addrs(kafkaPort), s.names, s.rate)
}

func (s *stand) stop() {
	for _, p := range s.processes {
		_ = p.end(syscall.SIGKILL)
	}
	if s.upstream != nil {
		s.upstream.cancel()
	}
	s.provider.CloseClientConnections()
	s.provider.Close()
	for _, proxy := range s.network {
		proxy.Stop()
	}
	down := exec.Command("test/servers/down")
	down.Env = s.serversEnvironment()
	_ = down.Run()
}

// wrongClock names the overlay with which what is built reads a clock that is CLOCK_AHEAD seconds ahead.
func (s *stand) wrongClock() string {
	const reads, ahead = "sec, nsec, mono := runtimeNow()", `package time

import "syscall"

var clockAhead = func() int64 {
	text, _ := syscall.Getenv("CLOCK_AHEAD")
	n, _ := atoi(text)
	return int64(n)
}()
`
	root := strings.TrimSpace(string(script.Must(exec.Command("go", "env", "GOROOT").Output())))
	folder := filepath.Join(root, "src", "time")
	text := string(script.Must(os.ReadFile(filepath.Join(folder, "time.go"))))
	if !strings.Contains(text, reads) {
		script.Check(fmt.Errorf("%s/time.go reads the clock otherwise", folder))
	}
	files, overlay := make(map[string]string), filepath.Join(s.dir, "overlay.json")
	for name, text := range map[string]string{
		"time.go": strings.ReplaceAll(text, reads, reads+"\n\tsec += clockAhead"), "ahead.go": ahead,
	} {
		files[filepath.Join(folder, name)] = filepath.Join(s.dir, name)
		script.Check(os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	all := script.Must(json.Marshal(map[string]any{"Replace": files}))
	script.Check(os.WriteFile(overlay, all, 0o600))
	return overlay
}

func (s *stand) skewed() string { return s.binary() + "-skewed" }

func (s *stand) binary() string { return filepath.Join(s.dir, "meddela") }

func (s *stand) serversEnvironment() []string {
	return append(os.Environ(), "SERVERS_DIR="+filepath.Join(s.dir, "servers"), "BROKERS=3", "REDIS_MODE=sentinel",
		"REDIS_APPENDONLY=1", "PROXIED=1", fmt.Sprintf("PORT_OFFSET=%d", s.offset), "KAFKA_HEAP=512m",
		"START_TIMEOUT=180")
}

// servers runs a command of test/servers.
func (s *stand) servers(command string, args ...string) {
	run := exec.Command("test/servers/"+command, args...)
	run.Env = s.serversEnvironment()
	script.Run(run)
}

// serverPid is the process of a server.
func (s *stand) serverPid(name string) (pid int) {
	text := script.Must(os.ReadFile(filepath.Join(s.dir, "servers", name+".pid")))
	script.Must(fmt.Sscan(string(text), &pid))
	return pid
}

func (s *stand) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(setting string) bool { return strings.HasPrefix(setting, "MEDDELA_") })
	return append(env,
		"MEDDELA_KAFKA_BROKERS="+strings.Join(s.addrs(kafkaPort+toProxy), ","),
		"MEDDELA_REDIS_ADDRS="+strings.Join(s.addrs(sentinelPort), ","), "MEDDELA_REDIS_MODE=sentinel",
		"MEDDELA_REDIS_MASTER_NAME=meddela", "MEDDELA_TOPICS_PARTITIONS=6", "MEDDELA_TOPICS_REPLICATION=3",
		"MEDDELA_TOPICS_MIN_INSYNC=2", "MEDDELA_LOG_LEVEL=warn", "MEDDELA_LOG_FORMAT=json",
		"MEDDELA_PROVIDERS_FILE="+filepath.Join(s.dir, "providers.yaml"), "MEDDELA_SANDBOX_CHANNELS=sms,push,webhook",
		"MEDDELA_LOOP_SESSION_TIMEOUT="+session.String(), "MEDDELA_CLAIM_LEASE="+lease.String(),
		"MEDDELA_CLAIM_REPLICAS=1", "MEDDELA_SUPPRESS_PEPPER="+strings.Repeat("0123456789abcdef", 2))
}

// call runs a command of the program, and returns what it wrote.
func (s *stand) call(args ...string) (string, error) {
	command := exec.CommandContext(s.ctx, s.binary(), args...)
	command.Env = s.environment()
	var told strings.Builder
	command.Stderr = &told
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("meddela %s: %w\n%s", strings.Join(args, " "), err, told.String())
	}
	return string(out), err
}

func (s *stand) pause(d time.Duration) {
	retry.Sleep(s.ctx, d)
	script.Check(s.ctx.Err())
}

// until waits until something holds.
func (s *stand) until(what string, holds func() bool) {
	for end := time.Now().Add(2 * time.Minute); !holds(); s.pause(50 * time.Millisecond) {
		if time.Now().After(end) {
			script.Check(errors.New(what + ": it never came to that"))
		}
	}
}

// process plays a role. Its log outlives it.
type process struct {
	name    string
	role    topology.Role
	lane    topology.Lane
	http    string
	command *exec.Cmd
	ended   chan struct{}
}

// startRole starts a process with a name of its own, as a new pod has.
func (s *stand) startRole(role topology.Role, lane topology.Lane) *process {
	s.started++
	return s.startAs(fmt.Sprintf("%s-%s-%d", lane, role, s.started), role, lane)
}

// startAs starts a process that may have had its name before, as a pod's container has.
func (s *stand) startAs(name string, role topology.Role, lane topology.Lane) *process {
	binary := s.binary()
	if s.ahead != 0 {
		binary = s.skewed()
	}
	p := &process{name, role, lane, script.FreeAddr(),
		exec.Command(binary, "run", string(role), "--lane", string(lane)), make(chan struct{})}
	log := script.Must(os.OpenFile(filepath.Join(s.dir, "logs", p.name+".log"),
		os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600))
	defer func() { _ = log.Close() }()
	p.command.Env = append(s.environment(), "MEDDELA_HTTP_ADDR="+p.http, "MEDDELA_KAFKA_CLIENT_ID="+p.name,
		"MEDDELA_KAFKA_INSTANCE="+p.name,
		fmt.Sprintf("CLOCK_AHEAD=%.0f", s.ahead.Seconds()))
	p.command.Stdout, p.command.Stderr = log, log
	script.Check(p.command.Start())
	go func() { _ = p.command.Wait(); close(p.ended) }()
	s.processes = append(s.processes, p)
	return p
}

// lostAt is when a process noticed last that Redis had lost something.
func (p *process) lostAt() (last time.Time) {
	response, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		return last
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "meddela_redis_lost_timestamp_seconds{") {
			_, value, _ := strings.Cut(lines.Text(), "} ")
			seconds := script.Must(strconv.ParseFloat(value, 64))
			if at := time.UnixMilli(int64(seconds * 1000)); at.After(last) {
				last = at
			}
		}
	}
	return last
}

func (s *stand) awaitReady(p *process) {
	s.until(p.name+" is ready", func() bool {
		response, err := http.Get("http://" + p.http + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// end ends a process, and waits until it has.
func (p *process) end(signal syscall.Signal) error {
	if err := p.command.Process.Signal(signal); err != nil {
		return fmt.Errorf("%s had ended by itself: see its log", p.name)
	}
	select {
	case <-p.ended:
		if state := p.command.ProcessState; signal == syscall.SIGTERM && !state.Success() {
			return fmt.Errorf("%s was to stop, and said %v: see its log", p.name, state)
		}
		return nil
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s had not ended a minute after %v", p.name, signal)
	}
}

// leave ends a process for good.
func (s *stand) leave(p *process, signal syscall.Signal) {
	s.processes = slices.DeleteFunc(s.processes, func(other *process) bool { return other == p })
	script.Check(p.end(signal))
}

// replace has another process in the place of one, which goes when that is at work, as in a roll-out.
func (s *stand) replace(p *process) {
	s.awaitReady(s.startRole(p.role, p.lane))
	s.leave(p, syscall.SIGTERM)
}

// primary is the name of the Redis that the sentinels hold for the primary.
func (s *stand) primary() string {
	for range 3 {
		for _, addr := range s.addrs(sentinelPort) {
			client := redis.NewSentinelClient(&redis.Options{Addr: addr})
			found, err := client.GetMasterAddrByName(s.ctx, "meddela").Result()
			_ = client.Close()
			if err == nil && len(found) == 2 && found[1] == fmt.Sprint(redisPort+toProxy+s.offset+1) {
				return "redis-2"
			} else if err == nil {
				return "redis-1"
			}
		}
	}
	script.Check(errors.New("no sentinel knows a primary"))
	return ""
}

// store is a Redis itself, without the network between.
func (s *stand) store(name string) *redis.Client {
	addr := s.addr(redisPort + int(name[6]-'1'))
	return redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 20 * time.Second})
}

// notFinal are those of some events without a final status.
func (s *stand) notFinal(ids []topology.EventID) (open []topology.EventID) {
	for id, status := range s.statuses(ids) {
		if !status.word.Final() {
			open = append(open, id)
		}
	}
	return open
}

// status is what Redis says of an event.
type status struct {
	word   topology.Status
	reason string
}

func (s *stand) statuses(ids []topology.EventID) map[topology.EventID]status {
	client, all := s.store(s.primary()), make(map[topology.EventID]status, len(ids))
	defer func() { _ = client.Close() }()
	for some := range slices.Chunk(ids, 1000) {
		pipe := client.Pipeline()
		answers := make([]*redis.SliceCmd, len(some))
		for i, id := range some {
			answers[i] = pipe.HMGet(s.ctx, s.keys.Event(id), "status", "reason")
		}
		script.Must(pipe.Exec(s.ctx))
		for i, id := range some {
			word, _ := answers[i].Val()[0].(string)
			reason, _ := answers[i].Val()[1].(string)
			all[id] = status{topology.Status(word), reason}
		}
	}
	return all
}
