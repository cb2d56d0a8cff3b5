package match

import (
	"math"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// Decision is what is to become of an event, and why.
type Decision struct {
	Status   topology.Status      `json:"status"` // pending_delivery, not_covered or expired
	Reason   topology.Reason      `json:"reason,omitempty"`
	Detail   string               `json:"detail,omitempty"` // for people, where the reason does not say all
	Template topology.TemplateRef `json:"template,omitempty"`
	Language string               `json:"language,omitempty"` // of the template's body
	Expires  time.Time            `json:"expires,omitzero"`
}

// Decide links an event to a template. It is pure: the same arguments give the
// same decision, whoever asks.
//
// Among the templates for the event's type and channel the one with the nearest
// language wins whose condition holds; of several as near, the one that comes
// first in the catalogue. A condition that cannot be evaluated on this event
// ends the choice: whether its template covers the event is not known, and what
// would come after it might be the wrong message.
//
// The trace, unless it is nil, gets the steps of the choice.
func Decide(event *topology.Event, received time.Time, templates *catalogue.Catalogue, now time.Time,
	trace *Trace) Decision {
	candidates := templates.Candidates(event.Type, event.Channel)
	switch {
	case event.Scheduled.After(now.Add(topology.MaxSchedule)):
		return Decision{Status: topology.NotCovered, Reason: topology.ReasonInvalid,
			Detail: string(topology.ReasonBadValue) + ": scheduled: must be within a year"}
	case len(candidates) > 0:
	case templates.HasType(event.Type):
		return Decision{Status: topology.NotCovered, Reason: topology.ReasonNoTemplateForChannel}
	default:
		return Decision{Status: topology.NotCovered, Reason: topology.ReasonNoTemplateForType}
	}
	chosen, language, fault := choose(event, candidates, trace)
	if fault != nil {
		return Decision{Status: topology.NotCovered, Reason: fault.Reason, Detail: fault.Detail}
	}
	decision := Decision{
		Status:   topology.PendingDelivery,
		Template: chosen.Ref(),
		Language: language,
		Expires:  expiry(event, received, time.Duration(chosen.Record().TTL)),
	}
	if _, away := chosen.Languages().Nearest(event.Language); away == template.DefaultDistance &&
		event.Language != "" && !template.IsLanguage(event.Language) {
		decision.Detail = "the event's language is none: the default is used"
	}
	switch {
	case !decision.Expires.IsZero() && !now.Before(decision.Expires):
		decision.Status, decision.Reason = topology.Expired, topology.ReasonExpired
	case event.Scheduled.After(now):
		decision.Reason = topology.ReasonScheduled
	}
	return decision
}

// choose tries the candidates whose language is nearest, then those whose is
// next, and so on. The fault says why none is chosen.
func choose(event *topology.Event, candidates []*catalogue.Entry, trace *Trace) (chosen *catalogue.Entry,
	language string, fault *topology.Fault) {
	facts := condition.NewFacts(event)
	const none = math.MaxInt
	for distance, next := 0, none; distance != none; distance, next = next, none {
		for _, c := range candidates {
			language, away := c.Languages().Nearest(event.Language)
			if away > distance {
				next = min(next, away)
			}
			if away != distance {
				continue
			}
			holds, err := c.Holds(facts)
			if trace != nil {
				*trace = append(*trace, c.Ref())
			}
			switch {
			case err != nil:
				return nil, "", &topology.Fault{
					Reason: topology.ReasonConditionFailed,
					Detail: "the condition of " + string(c.Ref()) + ": " + err.Error(),
				}
			case holds:
				return c, language, nil
			}
		}
	}
	return nil, "", &topology.Fault{Reason: topology.ReasonConditionsFalse}
}

// expiry is the earlier of the event's own end and the template's time to live,
// which runs from the time at which the message may first be sent.
func expiry(event *topology.Event, received time.Time, ttl time.Duration) time.Time {
	end := event.Expiration
	if ttl <= 0 {
		return end
	}
	start := received
	if event.Scheduled.After(start) {
		start = event.Scheduled
	}
	if byTTL := start.Add(ttl); end.IsZero() || byTTL.Before(end) {
		return byTTL
	}
	return end
}

// Trace is how a decision came about: the candidates whose conditions were looked
// at, in that order. The last one is the chosen one, or the one whose condition
// could not be evaluated, unless no condition holds. Candidates that are not among
// them come after it.
type Trace []topology.TemplateRef
