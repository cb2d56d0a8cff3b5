// Package sandbox is a provider for every channel that sends nothing: it keeps
// the messages, for tests, demonstrations and trials of templates.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Config says how a Provider behaves. Its zero value accepts everything
// at once.
type Config struct {
	// Name in the delivery log. Default "sandbox".
	Name string
	// Keep is how many messages are kept for inspection. Default 1000.
	Keep int
	// FailRate, SkipRate and DownRate are the shares, of 1, of jobs that are
	// refused, skipped, and met with silence. A job's fate is always the same.
	FailRate, SkipRate, DownRate float64
	// Latency of every answer.
	Latency time.Duration
	// Concurrency of messages that take time. Default 64.
	Concurrency int
	// Dir, if set, is a folder that is given a JSON file for each message. It
	// is made if need be, for its owner's eyes only: it holds addresses and
	// content.
	Dir string
	// Writer, if set, is given a line of JSON for each message. It holds
	// addresses and content.
	Writer io.Writer
}

// Provider serves every channel and sends nothing: it keeps the
// messages, for tests, demonstrations and trials of templates. Besides what its
// configuration asks for, some addresses have fates of their own; see fateOf.
type Provider struct {
	config Config

	mu       sync.Mutex
	ring     []Message // of the last Keep messages; the oldest is at next once it is full
	next     int
	accepted int
}

// Message is a message that a Provider has accepted. It holds the
// recipient's address and the content.
type Message struct {
	JobID    topology.JobID       `json:"job_id"`
	EventID  topology.EventID     `json:"event_id"`
	Lane     topology.Lane        `json:"lane"`
	Attempt  int                  `json:"attempt"`
	Type     string               `json:"type"`
	Template topology.TemplateRef `json:"template"`
	Channel  topology.Channel     `json:"channel"`
	To       string               `json:"to"`
	Language string               `json:"language,omitempty"`
	Subject  string               `json:"subject,omitempty"`
	Text     string               `json:"text,omitempty"`
	HTML     string               `json:"html,omitempty"`
	Body     string               `json:"body,omitempty"` // JSON, of push and webhook
	At       time.Time            `json:"at"`
}

// New returns a Provider, or what is wrong with the configuration.
func New(c Config) (*Provider, error) {
	c.Name = cmp.Or(c.Name, "sandbox")
	c.Keep = cmp.Or(c.Keep, 1000)
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	if c.Keep < 0 || c.Concurrency < 0 || c.Latency < 0 {
		return nil, errors.New("sandbox: numbers must not be negative")
	}
	if !isShare(c.FailRate) || !isShare(c.SkipRate) || !isShare(c.DownRate) || !isShare(c.FailRate+c.SkipRate+c.DownRate) {
		return nil, errors.New("sandbox: rates must be from 0 to 1, and so must their sum")
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	return &Provider{config: c}, nil
}

func isShare(x float64) bool { return 0 <= x && x <= 1 }

// Name implements Provider.
func (s *Provider) Name() string { return s.config.Name }

// Concurrency implements Provider.
func (s *Provider) Concurrency() int { return s.config.Concurrency }

// Instant implements the interface of that name.
func (s *Provider) Instant(job *topology.Job) bool {
	if s.config.Latency > 0 || job.Channel == topology.Webhook {
		return false
	}
	switch s.fate(job.JobID, job.Channel, job.To) {
	case fateSlow, fateDown:
		return false
	}
	return true
}

// slowAnswer is what an address with the fate "slow" takes.
const slowAnswer = time.Second

// Send implements Provider.
func (s *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	fate, wait := s.fate(job.JobID, m.Channel, m.To), s.config.Latency
	if fate == fateSlow {
		wait += slowAnswer
	}
	if wait > 0 && !sleep(ctx, wait) {
		return provider.Response{Verdict: provider.Failed, Detail: "the sandbox was not given the time that it takes"}
	}
	switch fate {
	case fateFail:
		return provider.Response{Verdict: provider.Rejected, Detail: "the sandbox refuses this recipient, as it was asked to"}
	case fateSkip:
		return provider.Response{Verdict: provider.Skipped, Reason: topology.ReasonSuppressed, Detail: "the sandbox skips this recipient, as it was asked to"}
	case fateDown:
		return provider.Response{Verdict: provider.Down, Detail: "the sandbox plays dead for this recipient, as it was asked to"}
	}
	return s.accept(job, m)
}

func (s *Provider) accept(job *topology.Job, m *template.Message) provider.Response {
	sent := Message{
		JobID: job.JobID, EventID: job.EventID, Lane: job.Lane, Attempt: job.Attempt, Type: job.Type,
		Template: job.Template, Channel: m.Channel, To: m.To, Language: m.Language,
		Subject: m.Subject, Text: m.Text, HTML: m.HTML, Body: string(m.Body), At: time.Now().UTC(),
	}
	if err := s.show(&sent); err != nil {
		return provider.Response{Verdict: provider.Down, Detail: "the sandbox cannot write the message where it was asked to"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	if len(s.ring) < s.config.Keep {
		s.ring = append(s.ring, sent)
	} else {
		s.ring[s.next] = sent
		s.next = (s.next + 1) % len(s.ring)
	}
	return provider.Response{Verdict: provider.Accepted, MessageID: s.config.Name + "-" + string(job.JobID)}
}

// fate is what a message comes to: by its address, or else by its job's place
// among the shares that the configuration asks for.
func (s *Provider) fate(id topology.JobID, channel topology.Channel, to string) fate {
	if f := fateOf(channel, to); f != fateNone {
		return f
	}
	c := &s.config
	if c.FailRate+c.SkipRate+c.DownRate == 0 {
		return fateNone
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id))
	const bits = 24
	switch place := float64(hash.Sum64()>>(64-bits)) / (1 << bits); {
	case place < c.FailRate:
		return fateFail
	case place < c.FailRate+c.SkipRate:
		return fateSkip
	case place < c.FailRate+c.SkipRate+c.DownRate:
		return fateDown
	}
	return fateNone
}

// sleep waits, and reports whether ctx did not end before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
