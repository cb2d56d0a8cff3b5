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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Config says how a Provider behaves. Its zero value accepts everything at once.
type Config struct {
	// Name in the delivery log. Default "sandbox".
	Name string
	// FailRate is the share, of 1, of jobs that are refused: always the same ones.
	FailRate float64
	// Latency of every answer.
	Latency time.Duration
	// Concurrency of messages that take time. Default 64.
	Concurrency int
	// Dir, if set, is a folder that is given a JSON file for each message. It is made if need be, for its owner's eyes
	// only: it holds addresses and content.
	Dir string
	// Writer, if set, is given a line of JSON for each message. It holds addresses and content.
	Writer io.Writer
}

// Provider is a provider.Provider. Besides what its configuration asks for, some
// addresses have outcomes of their own; see outcomeOf.
type Provider struct {
	config Config

	mu       sync.Mutex
	ring     []Message // of the last messages; once it is full, the next one replaces the oldest
	accepted int       // kept or not
}

// keep is how many messages are kept for inspection.
const keep = 1000

// Message is a message that a Provider has accepted. It holds the recipient's address and the content.
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
	c.Concurrency = cmp.Or(c.Concurrency, 64)
	switch {
	case c.Concurrency < 0 || c.Latency < 0:
		return nil, errors.New("sandbox: numbers must not be negative")
	case !(0 <= c.FailRate && c.FailRate <= 1):
		return nil, errors.New("sandbox: rates must be from 0 to 1")
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	return &Provider{config: c}, nil
}

// Name implements Provider.
func (s *Provider) Name() string { return s.config.Name }

// Concurrency implements Provider.
func (s *Provider) Concurrency() int { return s.config.Concurrency }

// Instant implements the interface of that name.
func (s *Provider) Instant(job *topology.Job) bool {
	word := outcomeOf(job.Channel, job.To)
	return s.config.Latency == 0 && job.Channel != topology.Webhook && word != "slow" && word != "down"
}

// slowAnswer is what an address with the outcome "slow" takes.
const slowAnswer = time.Second

// Send implements Provider.
func (s *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	word, wait := outcomeOf(m.Channel, m.To), s.config.Latency
	if word == "" && s.fails(job.JobID) {
		word = "fail"
	}
	if word == "slow" {
		wait += slowAnswer
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer(provider.Failed, "the sandbox was not given the time that it takes")
		}
	}
	switch word {
	case "fail":
		return answer(provider.Rejected, "the sandbox refuses this recipient, as it was asked to")
	case "skip":
		return provider.Response{
			Verdict: provider.Skipped, Reason: topology.ReasonSuppressed,
			Detail: "the sandbox skips this recipient, as it was asked to",
		}
	case "down":
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
	if len(s.ring) < keep {
		s.ring = append(s.ring, sent)
	} else {
		s.ring[s.accepted%keep] = sent
	}
	s.accepted++
	return provider.Response{Verdict: provider.Accepted, MessageID: s.config.Name + "-" + string(job.JobID)}
}

// fails reports whether a job is of the share that the configuration asks for.
func (s *Provider) fails(id topology.JobID) bool {
	if s.config.FailRate == 0 {
		return false
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id))
	const bits = 24
	return float64(hash.Sum64()>>(64-bits))/(1<<bits) < s.config.FailRate
}

// outcomeOf is the word for the outcome that an address asks for, or nothing:
//
//   - email, webhook: a label of the domain, as in kim@fail.example.test
//   - sms: a number that ends in 0000000 fails
//   - push: the start of the token, as in fail-1234
//
// where the words are fail (refused for good), skip (as suppressed), slow
// (accepted after a second) and down (as if nothing were there).
func outcomeOf(channel topology.Channel, to string) string {
	var labels string
	switch channel {
	case topology.Email:
		_, labels = address.Split(to)
	case topology.Webhook:
		if target, err := url.Parse(to); err == nil {
			labels = target.Hostname()
		}
	case topology.SMS:
		if strings.HasSuffix(to, "0000000") {
			return "fail"
		}
	case topology.Push:
		if word, _, ok := strings.Cut(to, "-"); ok {
			labels = word
		}
	}
	for label := range strings.SplitSeq(labels, ".") {
		switch label {
		case "fail", "skip", "slow", "down":
			return label
		}
	}
	return ""
}

// Messages returns the messages that are kept, the oldest first.
func (s *Provider) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.accepted % keep
	return slices.Concat(s.ring[oldest:], s.ring[:oldest])
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
		err = writeFile(s.config.Dir, fileName(m), text)
	}
	return err
}

// fileName is by the ids. An event's may have slashes, and be longer than a file's name.
func fileName(m *Message) string {
	id := url.PathEscape(string(m.EventID))
	return id[max(0, len(id)-topology.MaxIDBytes):] + "." + string(m.JobID) + ".json"
}

// writeFile makes a file appear whole.
func writeFile(dir, name string, text []byte) error {
	hidden := filepath.Join(dir, ".writing-"+name)
	if err := os.WriteFile(hidden, text, 0o600); err != nil {
		_ = os.Remove(hidden)
		return err
	}
	return os.Rename(hidden, filepath.Join(dir, name))
}
