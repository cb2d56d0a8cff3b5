package control

import (
	"errors"
	"fmt"
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
	return follow.New(follow.Config[Orders]{
		Source: source, What: "operators' orders", Log: log,
		Apply: func(o *Orders, records []topology.Record) (next *Orders, taken int) {
			return o.apply(records, func(r *topology.Record, err error) {
				log.Error().Err(err).Int64("offset", r.Offset).Bytes("key", r.Key).
					Msg("a control record is not taken; what was ordered before it stays")
			})
		},
		Loaded: func(o *Orders) { log.Info().Int("subjects", len(o.all)).Msg("the operators' orders are loaded") },
	})
}

// apply returns the orders that follow o, and how many records it took.
func (o *Orders) apply(records []topology.Record, refuse func(*topology.Record, error)) (next *Orders, taken int) {
	all := make(map[topology.Subject]*topology.ControlRecord, len(o.all)+len(records))
	maps.Copy(all, o.all)
	for i := range records {
		r := &records[i]
		order, err := decode(r)
		switch {
		case err != nil:
			refuse(r, err)
			continue
		case order == nil:
			delete(all, topology.Subject(r.Key))
		default:
			all[order.Subject] = order
		}
		taken++
	}
	return index(all), taken
}

var (
	errNoKey    = errors.New("the record has no key: it must be the subject")
	errOtherKey = errors.New("the record's key is not its own subject")
)

// decode reads a record; nil is one that takes the order about its key away.
func decode(r *topology.Record) (*topology.ControlRecord, error) {
	if len(r.Key) == 0 {
		return nil, errNoKey
	}
	if r.Value == nil {
		return nil, nil
	}
	order, err := topology.DecodeControl(r.Value)
	if err != nil {
		return nil, fmt.Errorf("order about %q: %w", r.Key, err)
	}
	if string(order.Subject) != string(r.Key) {
		return nil, errOtherKey
	}
	return &order, nil
}
