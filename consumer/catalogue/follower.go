package catalogue

import (
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

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

// apply makes the next catalogue.
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
