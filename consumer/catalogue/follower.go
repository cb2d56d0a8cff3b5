package catalogue

import (
	"context"
	"net"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// Source is the one partition of the templates topic.
type Source = follow.Source

// NoTopicError is the error of a Source whose topic does not exist.
type NoTopicError = follow.NoTopicError

// FromTopic is the Source that is a Kafka topic. Its fetches wait at the broker,
// so the transport should not be shared with who must not wait.
func FromTopic(addr net.Addr, transport kafka.RoundTripper, topic topology.Topic) Source {
	return follow.FromTopic(addr, transport, topic)
}

// Config says what a Follower reads.
type Config struct {
	Source Source
	Log    zerolog.Logger
	// OnBad hears of each record that is not taken; nil is nobody. It is
	// called by one goroutine.
	OnBad func(r topology.Record, err error)
}

// Follower keeps a catalogue up to date with a templates topic.
type Follower struct {
	config Config
	topic  *follow.Follower[Catalogue]
}

// Stats say how a follower is.
type Stats struct {
	Ready     bool
	Failing   bool      // the last try to read the topic failed
	Names     int       // of templates
	Versions  int       // of all templates
	Applied   int64     // the topic is in the catalogue up to before this offset
	Bad       int64     // records not taken since the start
	ChangedAt time.Time // when the catalogue last changed
	ContactAt time.Time // when the topic last answered: the catalogue is no older than that
}

// NewFollower makes a Follower. It connects to nothing yet.
func NewFollower(config Config) *Follower {
	f := &Follower{config: config}
	f.topic = follow.New(follow.Config[Catalogue]{
		Source: config.Source, What: "templates", Apply: f.apply, Loaded: f.loaded, Log: config.Log,
	})
	return f
}

// Catalogue is the latest snapshot; an empty one before the follower is ready.
func (f *Follower) Catalogue() *Catalogue { return f.topic.Snapshot() }

// Ready is closed once the topic has been read to the end that it had when the
// reading began.
func (f *Follower) Ready() <-chan struct{} { return f.topic.Ready() }

// Stats say how the follower is now.
func (f *Follower) Stats() Stats {
	s, snapshot := f.topic.Stats()
	return Stats{
		Ready: s.Ready, Failing: s.Failing,
		Names: snapshot.Names(), Versions: snapshot.Versions(),
		Applied: s.Applied, Bad: s.Bad, ChangedAt: s.ChangedAt, ContactAt: s.ContactAt,
	}
}

// AwaitReady returns when the follower is ready. When ctx ends first, its error
// is what stood in the way: a *NoTopicError where the topic is missing.
func (f *Follower) AwaitReady(ctx context.Context) error { return f.topic.AwaitReady(ctx) }

// CatchUp asks where the topic ends now, and returns when the catalogue has
// everything up to there. When ctx ends first, its error is what stood in the
// way.
func (f *Follower) CatchUp(ctx context.Context) error { return f.topic.CatchUp(ctx) }

// Run follows the topic until ctx ends. The topic being away, or not there at
// all, is not an end: it is logged now and then, and tried again.
func (f *Follower) Run(ctx context.Context) { f.topic.Run(ctx) }

// apply makes the next catalogue of one by the records.
func (f *Follower) apply(c *Catalogue, records []topology.Record) (next *Catalogue, taken int) {
	e := c.edit()
	for i, n := range decodeAll(records) {
		switch {
		case n.err != nil:
			f.refuse(&records[i], n.err)
			continue
		case n.entry == nil:
			e.remove(n.ref)
		default:
			e.put(n.entry)
		}
		taken++
	}
	return e.done(), taken
}

func (f *Follower) loaded(c *Catalogue) {
	f.config.Log.Info().Int("templates", c.Names()).Int("versions", c.Versions()).Msg("the templates are loaded")
}

func (f *Follower) refuse(r *topology.Record, err error) {
	f.config.Log.Error().Err(err).Int64("offset", r.Offset).Bytes("key", r.Key).
		Msg("a template record is not taken; what was there before it stays")
	if f.config.OnBad != nil {
		f.config.OnBad(*r, err)
	}
}
