// Package control keeps operators' orders in memory, as the compacted control
// topic has them, and says of each job whether it is to wait or to be ignored.
//
// Orders is an immutable snapshot whose verdict costs no allocation and some
// nanoseconds, whatever the number of orders. A Follower keeps it up to date
// within moments of an order.
package control

import (
	"encoding/hex"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// Orders is a snapshot of the last order about each subject. It is immutable
// and safe for use by several goroutines. The zero value has none.
type Orders struct {
	all map[topology.Subject]*topology.ControlRecord
	// stops are those that stop their subject until they end, by its kind and
	// name.
	stops map[topology.SubjectKind]map[string]*topology.ControlRecord
}

// Of makes Orders of records; of two about one subject, the later one counts.
func Of(records ...topology.ControlRecord) *Orders {
	all := make(map[topology.Subject]*topology.ControlRecord, len(records))
	for i := range records {
		all[records[i].Subject] = &records[i]
	}
	return index(all)
}

func index(all map[topology.Subject]*topology.ControlRecord) *Orders {
	o := &Orders{all: all, stops: make(map[topology.SubjectKind]map[string]*topology.ControlRecord)}
	for subject, order := range all {
		if order.Action == topology.Resume {
			continue
		}
		kind, name := subject.Split()
		if o.stops[kind] == nil {
			o.stops[kind] = make(map[string]*topology.ControlRecord)
		}
		o.stops[kind][name] = order
	}
	return o
}

// Last returns the last order about a subject, whether or not it is in force.
func (o *Orders) Last(s topology.Subject) (topology.ControlRecord, bool) {
	order, ok := o.all[s]
	if !ok {
		return topology.ControlRecord{}, false
	}
	return *order, true
}

// All returns the last order about every subject, by subject.
func (o *Orders) All() []topology.ControlRecord {
	list := make([]topology.ControlRecord, 0, len(o.all))
	for _, subject := range slices.Sorted(maps.Keys(o.all)) {
		list = append(list, *o.all[subject])
	}
	return list
}

// InForce returns the orders that stop their subject at that time, by subject.
func (o *Orders) InForce(now time.Time) []topology.ControlRecord {
	return slices.DeleteFunc(o.All(), func(order topology.ControlRecord) bool { return !order.InForce(now) })
}

// Mark names the set of orders in force at a time: what was judged under a set
// of another name may be judged otherwise now. Who ordered what, and why, does
// not count.
func (o *Orders) Mark(now time.Time) string {
	hash := fnv.New64a()
	for _, order := range o.InForce(now) {
		_, _ = io.WriteString(hash, string(order.Action)+"\t"+string(order.Subject)+"\n")
	}
	return hex.EncodeToString(hash.Sum(nil))
}

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
