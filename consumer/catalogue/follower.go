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

// Follower keeps a catalogue up to date with a templates topic.
type Follower struct {
	*follow.Follower[Catalogue]
	log zerolog.Logger
}

// Stats say how a follower is, and how many templates it has.
type Stats struct {
	follow.Stats
	Names    int // of templates
	Versions int // of all templates
}

// NewFollower makes a Follower of the templates topic's one partition. It
// connects to nothing yet. Records that are not taken are logged.
func NewFollower(source follow.Source, log zerolog.Logger) *Follower {
	f := &Follower{log: log}
	f.Follower = follow.New(follow.Config[Catalogue]{
		Source: source, What: "templates", Apply: f.apply, Log: log,
		Loaded: func(c *Catalogue) {
			log.Info().Int("templates", c.Names()).Int("versions", c.Versions()).Msg("the templates are loaded")
		},
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
			f.log.Error().Err(n.err).Int64("offset", records[i].Offset).Bytes("key", records[i].Key).
				Msg("a template record is not taken; what was there before it stays")
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

func decode(r *topology.Record) (n news) {
	n.ref = topology.TemplateRef(r.Key)
	if len(r.Key) == 0 {
		n.err = errNoKey
		return n
	}
	if r.Value == nil {
		return n
	}
	record, err := topology.DecodeTemplate(r.Value)
	switch {
	case err != nil:
		n.err = fmt.Errorf("template %s: %w", r.Key, err)
	case record.Ref() != n.ref:
		n.err = errOtherKey
	default:
		if record.PublishedAt.IsZero() {
			record.PublishedAt = r.Time
		}
		n.entry, n.err = newEntry(record)
	}
	return n
}
