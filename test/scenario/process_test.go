package scenario

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// process is one role as deployed: a process of the built binary.
type process struct {
	name    string
	role    topology.Role
	lane    topology.Lane
	command *exec.Cmd
	log     string // the file with its stderr
	http    string // where it can be asked how it is
	ended   chan struct{}
	err     error // of its end, once ended is closed
	running bool  // as far as the scenario is concerned
}

// stopTime is how long a stopped role may take: its grace, and leaving.
const stopTime = 25 * time.Second

// start starts a role on a lane, or receive on none. It does not wait for it to join its group.
func (s *site) start(role topology.Role, lane topology.Lane, flags ...string) *process {
	s.t.Helper()
	if lane != "" { // which receive, of both, has not
		flags = append(flags, "--lane", string(lane))
	}
	return s.launch(&process{name: string(lane) + "-" + string(role), role: role, lane: lane},
		append([]string{"run", string(role)}, flags...)...)
}

// launch starts a process of the binary that goes on until it is stopped.
func (s *site) launch(p *process, args ...string) *process {
	s.t.Helper()
	s.started++
	p.name += fmt.Sprintf("-%d", s.started)
	p.ended, p.running = make(chan struct{}), true
	p.http = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(s.t)))
	p.log = filepath.Join(s.dir, p.name+".log")
	out, err := os.Create(p.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	p.command = exec.Command(binary, args...)
	p.command.Env = append(s.environment(),
		"MEDDELA_KAFKA_CLIENT_ID="+s.client(p.name),
		"MEDDELA_HTTP_ADDR="+p.http,
		"MEDDELA_SANDBOX_FILE="+filepath.Join(s.dir, p.name+acceptancesSuffix),
	)
	p.command.Stdout, p.command.Stderr = out, out
	if err := p.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
	}()
	s.processes = append(s.processes, p)
	return p
}

// client is what Kafka is told of a process, whose lane comes behind it.
func (s *site) client(process string) string { return s.topics.Prefix + process }

// stop asks a process to end, as an orchestrator does, and wants it to end well
// in time.
func (s *site) stop(processes ...*process) {
	s.t.Helper()
	for _, p := range processes {
		p.running = false
		if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Errorf("%s had ended before it was stopped: %v", p.name, p.err)
		}
	}
	deadline := time.After(stopTime)
	for _, p := range processes {
		select {
		case <-p.ended:
			if p.err != nil {
				s.t.Errorf("%s ended with %v, want exit status 0", p.name, p.err)
			}
		case <-deadline:
			s.t.Errorf("%s had not ended %v after SIGTERM", p.name, stopTime)
			s.kill9(p)
		}
	}
}

// kill9 ends a process as a crash would.
func (s *site) kill9(p *process) {
	p.running = false
	_ = p.command.Process.Kill()
	<-p.ended
}

// check looks at what a process has left behind.
func (p *process) check(t *testing.T) {
	log, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"panic:", "crashed", "DATA RACE"} {
		if bytes.Contains(log, []byte(forbidden)) {
			t.Errorf("the log of %s has %q", p.name, forbidden)
		}
	}
	if bytes.Contains(log, []byte(recipientDomain)) {
		t.Errorf("the log of %s has a recipient's address", p.name)
	}
	if t.Failed() {
		const tail = 4000
		t.Logf("the end of the log of %s:\n%s", p.name, log[max(len(log)-tail, 0):])
	}
}
