// Package delay is the role that holds records until they are due. Each delay
// topic's partition is a queue whose records all wait about as long, so only
// its head needs watching: no timers, nothing in memory, nothing lost by a
// restart, and nothing early.
package delay

import (
	"context"
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
	Orders func() *control.Orders // the operators'
	Now    func() time.Time       // the clock
}

// Handle passes on what is due, and what has waited as long as its tier does:
// home, or to the tier that fits what is left of its time.
func (h *Handler) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	if b.Topic == h.Names.Paused(h.Lane) {
		return h.handlePaused(b)
	}
	most, _ := time.ParseDuration(strings.TrimPrefix(string(b.Topic), string(h.Names.Delay(h.Lane, topology.Tier{}))))
	var result consumer.Result
	for i := range b.Records {
		r := &b.Records[i]
		due, target, fault := h.dueOf(r)
		if fault != nil {
			result.Out = append(result.Out, h.Names.DeadLetter(h.Lane, r, fault, topology.RoleDelay, h.Now()))
			result.Handled++
			continue
		}
		moment := h.Now()
		leave := r.Time.Add(most)
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

// dueOf reads when a record is due, and where it goes then: to the jobs or the
// notices of its own lane, and nowhere else.
func (h *Handler) dueOf(r *topology.Record) (due time.Time, target topology.Topic, fault *topology.Fault) {
	text, _ := r.Header(topology.HeaderDue)
	due, err := time.Parse(time.RFC3339Nano, string(text))
	to, _ := r.Header(topology.HeaderTarget)
	target = topology.Topic(to)
	jobs, notices := h.Names.Jobs(h.Lane), h.Names.Notices(h.Lane)
	switch {
	case err != nil:
		fault = &topology.Fault{Reason: topology.ReasonBadValue, Field: topology.HeaderDue,
			Detail: "must be a time such as 2026-12-01T08:00:00.000Z"}
	case target != jobs && target != notices:
		fault = &topology.Fault{Reason: topology.ReasonBadValue, Field: topology.HeaderTarget,
			Detail: "must be " + string(jobs) + " or " + string(notices) + ", the topics that records are held for"}
	}
	return due, target, fault
}

const (
	// lookInterval is how soon a paused job notices that it is resumed.
	lookInterval = 200 * time.Millisecond
	// stay is how long a job waits on the paused topic before it is looked at
	// again, whatever the orders are: so that it is known when its validity has
	// ended, and long before the topic's retention would delete it.
	stay = 6 * time.Hour
)

// handlePaused lets go what no order pauses any more. Orders change rarely: each
// job carries the mark of those that it was last judged by, and while that is
// also the mark of those in force now, so that nothing can have changed for it,
// the head holds all the others.
func (h *Handler) handlePaused(b consumer.Batch) (consumer.Result, error) {
	orders, now := h.Orders(), h.Now()
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
	out := topology.Record{Topic: h.Names.Jobs(h.Lane), Key: r.Key, Value: r.Value, Headers: r.Headers}
	job, err := topology.DecodeJob(r.Value)
	if err == nil && !job.Expired(now) {
		header, _ := r.Header(topology.HeaderPausedProviders)
		providers := strings.FieldsFunc(string(header), func(r rune) bool { return r == ',' })
		if verdict, byProviders := orders.Judge(&job, providers, now); verdict.Paused() {
			if !byProviders {
				providers = nil
			}
			return h.Names.Pausing(h.Lane, out, mark, providers)
		}
	}
	if now.Sub(r.Time) < time.Second { // who made it wait sees other orders, or another clock: it must not circle fast
		return h.Names.Delayed(h.Lane, out, now.Add(2*time.Second), now)
	}
	out.Headers = topology.Released(r.Headers, now)
	return out
}
