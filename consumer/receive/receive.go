// Package receive is the role that hears what became of messages after a provider
// has accepted them: webhooks of providers, and bounces by e-mail. It writes the
// delivery log, and the suppressions.
//
// A message carries a reference to its provider, which the provider gives back, so
// that nothing needs to be kept to find the event. Whoever says something has to be
// the provider, by its signature, and to know the reference.
package receive

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/topology"
)

// Meaning is what a receipt says of a message.
type Meaning string

const (
	Delivered    Meaning = "delivered"    // the recipient's server or phone has it
	Opened       Meaning = "opened"       // or a link in it was followed
	Failed       Meaning = "failed"       // it was not delivered; another one may be
	Bounced      Meaning = "bounced"      // the address does not exist, or takes nothing
	Complained   Meaning = "complained"   // the recipient called it spam
	Unsubscribed Meaning = "unsubscribed" // the recipient wants no more of them
	Nothing      Meaning = "nothing"      // that would change anything
)

// Meanings lists every meaning.
func Meanings() []Meaning {
	return []Meaning{Delivered, Opened, Failed, Bounced, Complained, Unsubscribed, Nothing}
}

// Words for what is counted beside meanings.
const (
	Unknown  = "unknown"  // no reference of ours, or a receipt that no rule fits
	Refused  = "refused"  // not the provider's, by its signature
	Deferred = "deferred" // asked to come again: Kafka or Redis was away, or too much was being read
)

// causes are why an address is suppressed after a receipt.
var causes = map[Meaning]topology.Cause{
	Bounced: topology.Bounced, Complained: topology.Complaint, Unsubscribed: topology.Unsubscribed,
}

// Config is what a Receiver needs. All functions may be called by several goroutines.
type Config struct {
	Names   topology.Topics
	Key     *receipt.Key
	Sources []Source
	// States are what is known of events, in their order; the zero State of one of
	// which nothing is.
	States func(ctx context.Context, ids []topology.EventID) ([]topology.State, error)
	// Publish writes records to partitions of a number, and returns when they are written.
	Publish func(ctx context.Context, partition int, records []topology.Record) error
	// Hash is that of an address on a channel; none of what is no address.
	Hash func(channel topology.Channel, address string) topology.AddressHash
	// Suppress adds addresses, by their hashes, to the suppressions, and returns when they are written.
	Suppress func(ctx context.Context, channel topology.Channel, hashes []topology.AddressHash, cause topology.Cause) error
	Log      zerolog.Logger
}

// Receiver takes receipts. Its ServeHTTP is for webhooks, NewServer for bounces.
type Receiver struct {
	Config
	bySource map[string]*Source
	reading  room
	parsing  *semaphore.Weighted // reports
	atOnce   *semaphore.Weighted // requests that are the providers'

	mu     sync.Mutex
	counts map[Count]int64
	told   map[Count]time.Time
}

// Count is what receipts are counted by.
type Count struct{ Provider, Means string }

// New makes a Receiver, or says what is wrong with a source.
func New(c Config) (*Receiver, error) {
	r := &Receiver{Config: c, bySource: make(map[string]*Source), counts: make(map[Count]int64),
		told: make(map[Count]time.Time), reading: room{left: mostReading},
		parsing: semaphore.NewWeighted(mostParsed), atOnce: semaphore.NewWeighted(mostAtOnce)}
	for i := range r.Sources {
		s := &r.Sources[i]
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("receipts of %s: %w", s.Provider, err)
		}
		r.bySource[s.Provider] = s
	}
	return r, nil
}

// Counts returns how many receipts there were so far.
func (r *Receiver) Counts() map[Count]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (r *Receiver) count(provider, means string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[Count{provider, means}]++
}

// tell warns of what is wrong with receipts of a provider, once an hour.
func (r *Receiver) tell(provider, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind := (Count{provider, what}); time.Since(r.told[kind]) > time.Hour {
		r.told[kind] = time.Now()
		r.Log.Warn().Str("provider", provider).Msg("receipts: " + what)
	}
}

// note is one receipt.
type note struct {
	ref       receipt.Ref
	provider  string
	channel   topology.Channel
	address   string // as the receipt names it; may be empty
	messageID string
	code      string // of the provider, for people
	means     Meaning
	at        time.Time
}

// take writes what receipts say, and returns when it is written. With an error the
// provider is to come again. What is known already is not written again.
func (r *Receiver) take(ctx context.Context, notes []note) error {
	notes = slices.DeleteFunc(slices.Clone(notes), func(n note) bool { return n.means == Nothing })
	if len(notes) == 0 {
		return nil
	}
	ids := make([]topology.EventID, len(notes))
	for i := range notes {
		ids[i] = notes[i].ref.Event
	}
	states, err := r.States(ctx, ids)
	if err != nil {
		return err
	}
	type place struct {
		lane      topology.Lane
		partition int
	}
	records, known := make(map[place][]topology.Record), make(map[topology.EventID]*topology.State)
	for i := range notes {
		s := cmp.Or(known[ids[i]], &states[i])
		entry := notes[i].entry(s)
		if s.Redrives == entry.Redrives && s.Attempt == entry.Attempt && s.Status == entry.Status &&
			s.Detail == entry.Detail {
			continue
		}
		_, partition, _, ok := s.Source.Split()
		if !ok {
			partition = int(crc32.ChecksumIEEE([]byte(entry.EventID)) >> 1)
		}
		at := place{entry.Lane, partition}
		records[at] = append(records[at], topology.Record{
			Topic: r.Names.DeliveryLog(entry.Lane), Key: []byte(entry.EventID), Value: entry.Append(nil),
		})
		now := topology.StateOf(&entry)
		s.Merge(&now)
		known[ids[i]] = s
	}
	for at, some := range records {
		if err := r.Publish(ctx, at.partition, some); err != nil {
			return err
		}
	}
	hashes := make(map[topology.Cause][]topology.AddressHash)
	for i := range notes {
		n := &notes[i]
		if cause := causes[n.means]; cause == "" {
			continue
		} else if hash := cmp.Or(r.Hash(n.channel, n.address), n.ref.Hash()); n.ref.IsTo(hash) {
			hashes[cause] = append(hashes[cause], hash)
		} else { // another address than the message's is another's, and not this one's to suppress
			r.tell(cmp.Or(n.provider, Mail), "they do not name the address that their messages went to, and nobody is suppressed")
		}
	}
	for cause, some := range hashes {
		if err := r.Suppress(ctx, notes[0].channel, some, cause); err != nil { // all are of one source
			return err
		}
	}
	return nil
}

// entry is what a receipt says in the delivery log, beside what is known of the
// event. That a message came to nothing outranks that it was sent.
func (n *note) entry(s *topology.State) topology.Entry {
	e := topology.Entry{
		EventID: n.ref.Event, JobID: topology.JobIDOf(n.ref.Event, n.ref.Redrives), Lane: n.ref.Lane,
		Redrives: n.ref.Redrives, Attempt: n.ref.Attempt,
		Status: topology.Sent, Detail: string(n.means),
		Type: s.Type, Channel: cmp.Or(s.Channel, n.channel), Template: s.Template,
		Provider: n.provider, ProviderMessageID: n.messageID,
		Source: s.Source, ReceivedAt: s.PendingAt, At: n.at,
	}
	if s.Redrives == n.ref.Redrives && s.Attempt == n.ref.Attempt {
		// It comes after what is known, whatever the clocks say.
		if known := s.UpdatedAt.Add(time.Millisecond); known.After(e.At) {
			e.At = known
		}
		e.Provider = cmp.Or(e.Provider, s.Provider)
		e.ProviderMessageID = cmp.Or(e.ProviderMessageID, s.ProviderMessageID)
	}
	if n.means == Failed || n.means == Bounced {
		e.Status, e.Reason = topology.DeliveryError, topology.ReasonBounced
	}
	if n.code != "" {
		e.Detail += ": " + n.code
	}
	return e
}

// codeForm is what a provider's code looks like, which nothing of a message does.
var codeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._ -]{0,59}$`)

func cleanCode(text string) string {
	if text = strings.TrimSpace(text); codeForm.MatchString(text) {
		return text
	}
	return ""
}

// oldest is how long ago a receipt's time may be.
const oldest = 30 * 24 * time.Hour

// plausible is a receipt's time, unless it cannot be. One in whole seconds is that
// second's end, so that it does not come before what was in it.
func plausible(at, now time.Time) time.Time {
	if at.Nanosecond() == 0 {
		at = at.Add(time.Second - time.Millisecond)
	}
	if at.After(now) || at.Before(now.Add(-oldest)) {
		return now
	}
	return at
}
