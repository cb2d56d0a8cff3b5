package control

import (
	"time"

	"github.com/meddela/meddela/topology"
)

// Verdict is what the orders say. The zero value is that they say nothing.
type Verdict struct {
	Order *topology.ControlRecord // that decides, and must not be changed; nil when none does
}

// Paused reports whether the job is to wait.
func (v Verdict) Paused() bool { return v.Order != nil && v.Order.Action == topology.Pause }

// Killed reports whether the job is to be ignored.
func (v Verdict) Killed() bool { return v.Order != nil && v.Order.Action == topology.Kill }

// Detail is the entry's: what was stopped, by whom, and why; empty when
// nothing was.
func (v Verdict) Detail() string {
	if v.Order == nil {
		return ""
	}
	text := string(v.Order.Subject)
	if v.Order.By != "" {
		text += ", by " + v.Order.By
	}
	if v.Order.Reason != "" {
		text += ": " + v.Order.Reason
	}
	return text
}

// Verdict says what the orders in force make of a job, but for those about
// providers. Any kill outweighs every pause; of several alike, the one that ends
// last decides, for that is the one that the job waits for, and of those that end
// together the broadest.
func (o *Orders) Verdict(j *topology.Job, now time.Time) Verdict {
	var v Verdict
	if len(o.stops) == 0 {
		return v
	}
	template, _ := j.Template.Split() // orders are about all of its versions
	v.weigh(o.stops[topology.SubjectLane][string(j.Lane)], now)
	v.weigh(o.stops[topology.SubjectChannel][string(j.Channel)], now)
	v.weigh(o.stops[topology.SubjectType][j.Type], now)
	v.weigh(o.stops[topology.SubjectTemplate][template], now)
	return v
}

// About says what the order about one subject is, as for a choice among providers.
func (o *Orders) About(kind topology.SubjectKind, name string, now time.Time) Verdict {
	var v Verdict
	v.weigh(o.stops[kind][name], now)
	return v
}

// weigh takes an order in place of the one so far, if there is one, in force, and
// it weighs more.
func (v *Verdict) weigh(order *topology.ControlRecord, now time.Time) {
	if order != nil && order.InForce(now) && (v.Order == nil || outweighs(order, v.Order)) {
		v.Order = order
	}
}

func outweighs(a, b *topology.ControlRecord) bool {
	if a.Action != b.Action {
		return a.Action == topology.Kill
	}
	if a.Until.IsZero() || b.Until.IsZero() {
		return a.Until.IsZero() && !b.Until.IsZero()
	}
	return a.Until.After(b.Until)
}

// Judge is the Verdict on a job whose message any of some providers may take:
// an order about a provider counts where there is one about each of them.
func (o *Orders) Judge(j *topology.Job, providers []string, now time.Time) (v Verdict, byProviders bool) {
	if v := o.Verdict(j, now); v.Order != nil || len(o.stops[topology.SubjectProvider]) == 0 || len(providers) == 0 {
		return v, false
	}
	for _, name := range providers {
		about := o.About(topology.SubjectProvider, name, now)
		switch {
		case about.Order == nil:
			return Verdict{}, false
		case v.Order == nil || about.Paused() && (v.Killed() || outweighs(v.Order, about.Order)):
			v = about // a pause before a kill; of pauses, the one that ends first
		}
	}
	return v, true
}
