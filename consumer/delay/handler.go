// Package delay is the role that holds records until they are due. Each delay
// topic's partition is a queue whose records all wait about as long, so only
// its head needs watching: no timers, nothing in memory, nothing lost by a
// restart, and nothing early.
package delay

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/topology"
)

// Handler is the delay role of one lane.
type Handler struct {
	Lane   topology.Lane
	Names  topology.Topics
	Orders func() *control.Orders // the operators'; default none
	Now    func() time.Time       // the clock; default time.Now
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

// Topics lists the topics that the role reads.
func (h *Handler) Topics() []topology.Topic { return h.Names.Reads(topology.RoleDelay, h.Lane) }

// Handle passes on what is due, and what has waited as long as its tier does:
// home, or to the tier that fits what is left of its time.
func (h *Handler) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	if b.Topic == h.Names.Paused(h.Lane) {
		return h.handlePaused(b)
	}
	tier := h.tierOf(b.Topic)
	var result consumer.Result
	for i := range b.Records {
		r := &b.Records[i]
		due, target, fault := h.dueOf(r)
		if fault != nil {
			result.Out = append(result.Out, h.Names.DeadLetter(h.Lane, r, fault, topology.RoleDelay, h.now()))
			result.Handled++
			continue
		}
		moment := h.now()
		leave := r.Time.Add(tier.Wait)
		if due.Before(leave) {
			leave = due
		}
		if leave.After(moment) {
			return result, consumer.NotYet{Until: leave}
		}
		out := topology.Record{Topic: target, Key: r.Key, Value: r.Value, Headers: r.Headers}
		if due.After(moment) {
			out = h.Names.Delayed(h.Lane, out, due, moment)
		} else {
			out.Headers = topology.Released(r.Headers, due)
		}
		result.Out = append(result.Out, out)
		result.Handled++
	}
	return result, nil
}

func (h *Handler) tierOf(topic topology.Topic) topology.Tier {
	tiers := topology.Tiers()
	at := slices.IndexFunc(tiers, func(t topology.Tier) bool { return h.Names.Delay(h.Lane, t) == topic })
	return tiers[max(at, 0)]
}

// dueOf reads when a record is due, and where it goes then: to the jobs or the
// notices of its own lane, and nowhere else.
func (h *Handler) dueOf(r *topology.Record) (due time.Time, target topology.Topic, fault *topology.Fault) {
	text, _ := r.Header(topology.HeaderDue)
	due, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return due, "", &topology.Fault{
			Reason: topology.ReasonBadValue, Field: topology.HeaderDue,
			Detail: "must be a time such as 2026-12-01T08:00:00.000Z",
		}
	}
	to, _ := r.Header(topology.HeaderTarget)
	target = topology.Topic(to)
	if target != h.Names.Jobs(h.Lane) && target != h.Names.Notices(h.Lane) {
		return due, "", &topology.Fault{
			Reason: topology.ReasonBadValue, Field: topology.HeaderTarget,
			Detail: "must be " + string(h.Names.Jobs(h.Lane)) + " or " + string(h.Names.Notices(h.Lane)) +
				", the topics that records are held for",
		}
	}
	return due, target, nil
}

const (
	// lookInterval is how soon a paused job notices that it is resumed.
	lookInterval = 200 * time.Millisecond
	// stay is how long a job waits on the paused topic before it is looked at
	// again, whatever the orders are: so that it is known when its validity has
	// ended, and long before the topic's retention would delete it.
	stay = time.Hour
)

// handlePaused lets go what no order pauses any more. Orders change rarely: each
// job carries the mark of those that it was last judged by, and while that is
// also the mark of those in force now, so that nothing can have changed for it,
// the head holds all the others.
func (h *Handler) handlePaused(b consumer.Batch) (consumer.Result, error) {
	orders, now := new(control.Orders), h.now()
	if h.Orders != nil {
		orders = h.Orders()
	}
	mark := orders.Mark(now)
	var result consumer.Result
	for i := range b.Records {
		r := &b.Records[i]
		judgedBy, _ := r.Header(topology.HeaderOrders)
		if string(judgedBy) == mark && now.Before(r.Time.Add(stay)) {
			return result, consumer.NotYet{Until: now.Add(lookInterval)}
		}
		result.Out = append(result.Out, h.judge(r, orders, mark, now))
		result.Handled++
	}
	return result, nil
}

// judge puts a job back in line if an order still pauses it, and else sends it
// home, where a kill, its expiry or whatever is wrong with it is looked at.
func (h *Handler) judge(r *topology.Record, orders *control.Orders, mark string, now time.Time) topology.Record {
	out := topology.Record{Topic: h.Names.Jobs(h.Lane), Key: r.Key, Value: r.Value}
	job, err := topology.DecodeJob(r.Value)
	if err == nil && !job.Expired(now) {
		header, _ := r.Header(topology.HeaderPausedProviders)
		providers := strings.FieldsFunc(string(header), func(r rune) bool { return r == ',' })
		if verdict, byProviders := orders.Judge(&job, providers, now); verdict.Paused() {
			out.Headers = r.Headers
			if !byProviders {
				providers = nil
			}
			return h.Names.Pausing(h.Lane, out, mark, providers)
		}
	}
	out.Headers = topology.Released(r.Headers, now)
	return out
}
