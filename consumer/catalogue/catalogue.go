// Package catalogue keeps the published templates in memory, as the compacted
// templates topic has them.
//
// A Catalogue is an immutable snapshot, indexed so that finding the templates
// for an event costs the same with ten templates and with ten thousand. A
// Follower reads the topic from its start, then lives on it: each new version
// is in the next snapshot within moments, at a cost that does not grow with
// the catalogue.
package catalogue

import (
	"iter"
	"maps"
	"slices"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// Catalogue is a snapshot of the published templates. It is immutable and safe
// for use by several goroutines. The zero value has no templates.
//
// What it holds depends on the last record of each version alone, and not on
// the order in which versions were read.
type Catalogue struct {
	byRef    shards[topology.TemplateRef, *Entry]
	versions shards[string, []*Entry] // by name, the most recently published first
	live     shards[route, []*Entry]  // by what they match, in the order of preference
}

// route is what a template is found by.
type route struct {
	eventType string
	channel   topology.Channel
}

// New makes a catalogue of records. Its error is the first bad record's; of two
// records of one version, the later one counts.
func New(records ...topology.TemplateRecord) (*Catalogue, error) {
	e := new(Catalogue).edit()
	for _, r := range records {
		entry, err := newEntry(r)
		if err != nil {
			return nil, err
		}
		e.put(entry.ref, entry)
	}
	return e.done(), nil
}

// Candidates returns the live version of each template that covers the event
// type on the channel, in the order of preference: the most specific first
// (more conditions, then fewer types), of those the most recently published,
// and of those published at the same time by their refs. The slice must not be
// changed.
func (c *Catalogue) Candidates(eventType string, channel topology.Channel) []*Entry {
	entries, _ := c.live.get(route{eventType, channel})
	return entries
}

// HasType reports whether the live version of any template, on whatever
// channel, covers the event type.
func (c *Catalogue) HasType(eventType string) bool {
	return slices.ContainsFunc(topology.Channels(), func(on topology.Channel) bool {
		return len(c.Candidates(eventType, on)) > 0
	})
}

// ByRef returns a version, whether or not it is its template's latest.
func (c *Catalogue) ByRef(ref topology.TemplateRef) (*Entry, bool) { return c.byRef.get(ref) }

// Live returns the version of a template that covers events: the most recently
// published one. There is none when that is retired.
func (c *Catalogue) Live(name string) (*Entry, bool) {
	if e, ok := c.Latest(name); ok && !e.record.Retired {
		return e, true
	}
	return nil, false
}

// Latest returns the most recently published version of a template, which may
// be retired.
func (c *Catalogue) Latest(name string) (*Entry, bool) {
	entries, ok := c.versions.get(name)
	return first(entries), ok
}

// Names is the number of templates, retired ones included.
func (c *Catalogue) Names() int { return c.versions.size() }

// Versions is the number of versions of all templates.
func (c *Catalogue) Versions() int { return c.byRef.size() }

// All goes through every version, by name and then the most recently published
// first.
func (c *Catalogue) All() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		all := make(map[string][]*Entry)
		for _, m := range c.versions {
			maps.Copy(all, m)
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			for _, e := range all[name] {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// AllLive lists the versions that are live, by name.
func (c *Catalogue) AllLive() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := range c.All() {
			if live, ok := c.Live(e.record.Name); ok && live == e && !yield(e) {
				return
			}
		}
	}
}

// Follower keeps a catalogue up to date with a templates topic.
type Follower = follow.Follower[Catalogue]

// NewFollower makes a Follower of the templates topic's one partition. It
// connects to nothing yet. Records that are not taken are logged.
func NewFollower(source follow.Source, log zerolog.Logger) *Follower {
	return follow.New(follow.Config[Catalogue, Entry]{
		Source: source, What: "templates", Key: "name@version", Decode: decode, Apply: (*Catalogue).apply, Log: log,
		Loaded: func(c *Catalogue) {
			log.Info().Int("templates", c.Names()).Int("versions", c.Versions()).Msg("the templates are loaded")
		},
	})
}

func (c *Catalogue) apply(changes []follow.Change[Entry]) *Catalogue {
	e := c.edit()
	for _, change := range changes {
		e.put(topology.TemplateRef(change.Key), change.Value)
	}
	return e.done()
}

func decode(r *topology.Record) (ref string, entry *Entry, err error) {
	record, err := topology.DecodeTemplate(r.Value)
	if err != nil {
		return "", nil, err
	}
	if record.PublishedAt.IsZero() {
		record.PublishedAt = r.Time
	}
	entry, err = newEntry(record)
	return string(record.Ref()), entry, err
}
