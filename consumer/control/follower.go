package control

import (
	"maps"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// Follower keeps Orders up to date with a control topic.
type Follower = follow.Follower[Orders]

// NewFollower makes a Follower. It connects to nothing yet. Records that are no
// orders are logged, and what was ordered about their subject before stays.
func NewFollower(source follow.Source, log zerolog.Logger) *Follower {
	return follow.New(follow.Config[Orders, topology.ControlRecord]{
		Source: source, What: "operators' orders", Key: "subject", Log: log,
		Decode: func(r *topology.Record) (string, *topology.ControlRecord, error) {
			order, err := topology.DecodeControl(r.Value)
			return string(order.Subject), &order, err
		},
		Apply:  (*Orders).apply,
		Loaded: func(o *Orders) { log.Info().Int("subjects", len(o.all)).Msg("the operators' orders are loaded") },
	})
}

// apply returns the orders that follow o.
func (o *Orders) apply(changes []follow.Change[topology.ControlRecord]) *Orders {
	all := make(map[topology.Subject]*topology.ControlRecord, len(o.all)+len(changes))
	maps.Copy(all, o.all)
	for _, change := range changes {
		if subject := topology.Subject(change.Key); change.Value == nil {
			delete(all, subject)
		} else {
			all[subject] = change.Value
		}
	}
	return index(all)
}
