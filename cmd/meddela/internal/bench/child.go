package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/meddela/meddela/topology"
)

// child is a process of its own that plays a role.
type child struct {
	name    string
	command *exec.Cmd
	said    tail
	ended   chan struct{}
	err     error // after ended
}

// stopTime is how long a child may take to finish what it has begun.
const stopTime = 30 * time.Second

// startChild starts this program with arguments.
func (b *Bench) startChild(name string, names topology.Topics, keys topology.Keys, args ...string) (*child, error) {
	c := &child{name: name, command: b.Program(names, keys, args...), ended: make(chan struct{})}
	c.command.Stderr = &c.said
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		c.err = c.command.Wait()
		close(c.ended)
	}()
	return c, nil
}

// startRole starts a role as it is deployed.
func (b *Bench) startRole(role topology.Role, names topology.Topics, keys topology.Keys) (*child, error) {
	args := []string{"run", string(role), "--lane", string(lane)}
	if b.Profiles != "" {
		args = append(args, "--cpu-profile", filepath.Join(b.Profiles, string(role)+".pprof"))
	}
	return b.startChild(string(role), names, keys, args...)
}

func (c *child) pid() int { return c.command.Process.Pid }

// check tells whether the child still runs.
func (c *child) check() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended: %w\n%s", c.name, errors.Join(errors.New("it must run until it is stopped"), c.err), c.said.text())
	default:
		return nil
	}
}

// stop asks the child to finish, and waits for it.
func (c *child) stop() error {
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		return c.check()
	}
	select {
	case <-c.ended:
	case <-time.After(stopTime):
		_ = c.command.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not stop within %v\n%s", c.name, stopTime, c.said.text())
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w\n%s", c.name, c.err, c.said.text())
	}
	return nil
}

// children are processes that work together.
type children []*child

// startRoles starts the roles of the pipeline.
func (b *Bench) startRoles(names topology.Topics, keys topology.Keys) (children, error) {
	var all children
	for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleStatus} {
		c, err := b.startRole(role, names, keys)
		if err != nil {
			return nil, errors.Join(err, all.stop())
		}
		all = append(all, c)
	}
	return all, nil
}

func (all children) pids() map[string]int {
	pids := make(map[string]int)
	for _, c := range all {
		pids[c.name] = c.pid()
	}
	return pids
}

// stop stops all at once.
func (all children) stop() error {
	errs := make([]error, len(all))
	var stopping sync.WaitGroup
	for i, c := range all {
		stopping.Go(func() { errs[i] = c.stop() })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// guard ends a context when a child does.
func (all children) guard(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	for _, c := range all {
		go func() {
			select {
			case <-c.ended:
				cancel(c.check())
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailBytes; extra > 0 {
		t.buf = bytes.Clone(t.buf[extra:])
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
