// Package sandbox is a provider for every channel that sends nothing: it keeps
// the messages, for tests, demonstrations and trials of templates.
package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
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
	// refused, skipped, and met with silence. A job's outcome is always the same.
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
// configuration asks for, some addresses have outcomes of their own; see outcomeOf.
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
	if !isShare(c.FailRate) || !isShare(c.SkipRate) || !isShare(c.DownRate) ||
		!isShare(c.FailRate+c.SkipRate+c.DownRate) {
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
	switch s.outcome(job.JobID, job.Channel, job.To) {
	case outcomeSlow, outcomeDown:
		return false
	}
	return true
}

// slowAnswer is what an address with the outcome "slow" takes.
const slowAnswer = time.Second

// Send implements Provider.
func (s *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	outcome, wait := s.outcome(job.JobID, m.Channel, m.To), s.config.Latency
	if outcome == outcomeSlow {
		wait += slowAnswer
	}
	if wait > 0 && !sleep(ctx, wait) {
		return answer(provider.Failed, "the sandbox was not given the time that it takes")
	}
	switch outcome {
	case outcomeFail:
		return answer(provider.Rejected, "the sandbox refuses this recipient, as it was asked to")
	case outcomeSkip:
		return provider.Response{
			Verdict: provider.Skipped, Reason: topology.ReasonSuppressed,
			Detail: "the sandbox skips this recipient, as it was asked to",
		}
	case outcomeDown:
		return answer(provider.Down, "the sandbox plays dead for this recipient, as it was asked to")
	}
	return s.accept(job, m)
}

func answer(v provider.Verdict, detail string) provider.Response {
	return provider.Response{Verdict: v, Detail: detail}
}

func (s *Provider) accept(job *topology.Job, m *template.Message) provider.Response {
	sent := Message{
		JobID: job.JobID, EventID: job.EventID, Lane: job.Lane, Attempt: job.Attempt, Type: job.Type,
		Template: job.Template, Channel: m.Channel, To: m.To, Language: m.Language,
		Subject: m.Subject, Text: m.Text, HTML: m.HTML, Body: string(m.Body), At: time.Now().UTC(),
	}
	if err := s.show(&sent); err != nil {
		return answer(provider.Down, "the sandbox cannot write the message where it was asked to")
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

// outcome is what a message comes to: by its address, or else by its job's share
// of those that the configuration asks for.
func (s *Provider) outcome(id topology.JobID, channel topology.Channel, to string) outcome {
	if f := outcomeOf(channel, to); f != outcomeNone {
		return f
	}
	c := &s.config
	if c.FailRate+c.SkipRate+c.DownRate == 0 {
		return outcomeNone
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id))
	const bits = 24
	switch share := float64(hash.Sum64()>>(64-bits)) / (1 << bits); {
	case share < c.FailRate:
		return outcomeFail
	case share < c.FailRate+c.SkipRate:
		return outcomeSkip
	case share < c.FailRate+c.SkipRate+c.DownRate:
		return outcomeDown
	}
	return outcomeNone
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

// outcome is what a Provider does with a message.
type outcome int

const (
	outcomeNone outcome = iota
	outcomeFail         // refuse it for good
	outcomeSkip         // skip it, as suppressed
	outcomeSlow         // accept it after a second
	outcomeDown         // answer as if nothing were there
)

// outcomeOf reads the outcome that an address asks for:
//
//   - email, webhook: a label of the domain, as in kim@fail.example.test
//   - sms: a number that ends in 0000000 fails
//   - push: the start of the token, as in fail-1234
//
// where the words are fail, skip, slow and down.
func outcomeOf(channel topology.Channel, to string) outcome {
	switch channel {
	case topology.Email:
		_, domain := address.Split(to)
		return outcomeOfDomain(domain)
	case topology.Webhook:
		if target, err := url.Parse(to); err == nil {
			return outcomeOfDomain(target.Hostname())
		}
	case topology.SMS:
		if strings.HasSuffix(to, "0000000") {
			return outcomeFail
		}
	case topology.Push:
		if word, _, ok := strings.Cut(to, "-"); ok {
			return outcomeByName(word)
		}
	}
	return outcomeNone
}

func outcomeOfDomain(domain string) outcome {
	for domain != "" {
		var label string
		label, domain, _ = strings.Cut(domain, ".")
		if f := outcomeByName(label); f != outcomeNone {
			return f
		}
	}
	return outcomeNone
}

func outcomeByName(word string) outcome {
	switch word {
	case "fail":
		return outcomeFail
	case "skip":
		return outcomeSkip
	case "slow":
		return outcomeSlow
	case "down":
		return outcomeDown
	}
	return outcomeNone
}

// Messages returns the messages that are kept, the oldest first.
func (s *Provider) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, 0, len(s.ring))
	all = append(all, s.ring[s.next:]...)
	return append(all, s.ring[:s.next]...)
}

// Accepted is how many messages were accepted, kept or not.
func (s *Provider) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// show writes a message where the configuration asks for it.
func (s *Provider) show(m *Message) error {
	if s.config.Dir == "" && s.config.Writer == nil {
		return nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if s.config.Writer != nil {
		s.mu.Lock()
		_, err = s.config.Writer.Write(text)
		s.mu.Unlock()
	}
	if err == nil && s.config.Dir != "" {
		err = writeFile(s.config.Dir, string(m.EventID)+"."+string(m.JobID)+".json", text)
	}
	return err
}

// writeFile makes a file appear whole.
func writeFile(dir, name string, text []byte) error {
	file, err := os.CreateTemp(dir, ".writing-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
