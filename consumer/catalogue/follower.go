package catalogue

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// Config says what a Follower reads.
type Config struct {
	Source follow.Source // the one partition of the templates topic
	Log    zerolog.Logger
	// OnBad hears of each record that is not taken; nil is nobody. It is
	// called by one goroutine.
	OnBad func(r topology.Record, err error)
}

// Follower keeps a catalogue up to date with a templates topic.
type Follower struct {
	*follow.Follower[Catalogue]
	config Config
}

// Stats say how a follower is, and how many templates it has.
type Stats struct {
	follow.Stats
	Names    int // of templates
	Versions int // of all templates
}

// NewFollower makes a Follower. It connects to nothing yet.
func NewFollower(config Config) *Follower {
	f := &Follower{config: config}
	f.Follower = follow.New(follow.Config[Catalogue]{
		Source: config.Source, What: "templates", Apply: f.apply, Loaded: f.loaded, Log: config.Log,
	})
	return f
}

// Catalogue is the latest snapshot; an empty one before the follower is ready.
func (f *Follower) Catalogue() *Catalogue { return f.Snapshot() }

// Stats say how the follower is now.
func (f *Follower) Stats() Stats {
	s, c := f.Follower.Stats()
	return Stats{Stats: s, Names: c.Names(), Versions: c.Versions()}
}

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

// news is what one record says.
type news struct {
	ref   topology.TemplateRef
	entry *Entry // nil when the version is retired
	err   error  // of a record that is not taken
}

// decodeAll decodes records side by side: at start there are many, and checking
// each takes far longer than applying it.
func decodeAll(records []topology.Record) []news {
	all := make([]news, len(records))
	workers := min(runtime.GOMAXPROCS(0), len(records))
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(records); i += workers {
				all[i] = decode(&records[i])
			}
		})
	}
	done.Wait()
	return all
}

var (
	errNoKey    = errors.New("the record has no key: it must be name@version")
	errOtherKey = errors.New("the record's key is not its own name@version")
)

func decode(r *topology.Record) news {
	n := news{ref: topology.TemplateRef(r.Key)}
	switch {
	case len(r.Key) == 0:
		n.err = errNoKey
	case r.Value != nil:
		n.entry, n.err = decodeEntry(r)
	}
	return n
}

func decodeEntry(r *topology.Record) (*Entry, error) {
	record, err := topology.DecodeTemplate(r.Value)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", r.Key, err)
	}
	if string(record.Ref()) != string(r.Key) {
		return nil, errOtherKey
	}
	if record.PublishedAt.IsZero() {
		record.PublishedAt = r.Time
	}
	return newEntry(record)
}
