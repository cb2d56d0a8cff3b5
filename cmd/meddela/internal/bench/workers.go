package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// crew is processes of roles, some of which are killed on purpose.
type crew struct {
	*Bench
	names       topology.Topics
	keys        topology.Keys
	environment []string
	workers     []*worker
	// ambiguous counts what the workers have said that may have been sent,
	// those that were killed included.
	ambiguous atomic.Int64
}

// worker is a process of a role.
type worker struct {
	*child
	role topology.Role
	lane topology.Lane
}

// hire starts a process of a role.
func (c *crew) hire(role topology.Role, lane topology.Lane) error {
	command := c.Program(c.names, c.keys, "run", string(role), "--lane", string(lane))
	command.Env = append(command.Env, c.environment...)
	w := &worker{child: &child{name: string(role) + " " + string(lane), command: command, ended: make(chan struct{})}, role: role, lane: lane}
	command.Stderr = io.MultiWriter(&w.said, &lineCounter{of: []byte(`"reason":"ambiguous"`), to: &c.ambiguous})
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", w.name, err)
	}
	go func() {
		w.err = command.Wait()
		close(w.ended)
	}()
	c.workers = append(c.workers, w)
	return nil
}

// killOne kills a process of one of the roles, as kill -9 does, and starts
// another in its place.
func (c *crew) killOne(roles ...topology.Role) error {
	var candidates []int
	for i, w := range c.workers {
		for _, role := range roles {
			if w.role == role {
				candidates = append(candidates, i)
			}
		}
	}
	if len(candidates) == 0 {
		return errors.New("there is nobody to kill")
	}
	at := candidates[rand.IntN(len(candidates))]
	w := c.workers[at]
	if err := w.check(); err != nil {
		return err
	}
	if err := w.command.Process.Kill(); err != nil {
		return err
	}
	<-w.ended
	c.workers = append(c.workers[:at], c.workers[at+1:]...)
	return c.hire(w.role, w.lane)
}

// check tells whether all still run.
func (c *crew) check() error {
	for _, w := range c.workers {
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

// dismiss stops the processes of some roles, or all without any.
func (c *crew) dismiss(roles ...topology.Role) error {
	var going children
	var staying []*worker
	for _, w := range c.workers {
		goes := len(roles) == 0
		for _, role := range roles {
			goes = goes || w.role == role
		}
		if goes {
			going = append(going, w.child)
		} else {
			staying = append(staying, w)
		}
	}
	c.workers = staying
	return going.stop()
}

// sessionTime is longer than a member that was killed counts as one.
const sessionTime = 20 * time.Second

// rewind lets a group whose members have all gone begin a topic anew.
func (b *Bench) rewind(ctx context.Context, group string, topic topology.Topic) error {
	for end := time.Now().Add(sessionTime); ; {
		err := b.commitStart(ctx, group, topic)
		if !errors.Is(err, kafka.UnknownMemberId) || time.Now().After(end) {
			return err
		}
		b.Progress("waiting for the sessions of those that were killed")
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

func (b *Bench) commitStart(ctx context.Context, group string, topic topology.Topic) error {
	request := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: make(map[string][]kafka.OffsetCommit)}
	for p := range b.Sizing.Partitions {
		request.Topics[string(topic)] = append(request.Topics[string(topic)], kafka.OffsetCommit{Partition: p})
	}
	response, err := b.kafka.OffsetCommit(ctx, request)
	if err != nil {
		return fmt.Errorf("rewinding %s: %w", group, err)
	}
	for _, p := range response.Topics[string(topic)] {
		if p.Error != nil {
			return fmt.Errorf("rewinding %s: %w", group, p.Error)
		}
	}
	return nil
}

// lineCounter counts the writes' lines that have a text.
type lineCounter struct {
	of   []byte
	to   *atomic.Int64
	line []byte
}

func (l *lineCounter) Write(p []byte) (int, error) {
	l.line = append(l.line, p...)
	for {
		end := bytes.IndexByte(l.line, '\n')
		if end < 0 {
			return len(p), nil
		}
		if bytes.Contains(l.line[:end], l.of) {
			l.to.Add(1)
		}
		l.line = l.line[end+1:]
	}
}
