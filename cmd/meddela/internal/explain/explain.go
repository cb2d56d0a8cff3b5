package explain

import (
	"errors"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

// Question is which decision to explain.
type Question struct {
	// Record is the event's. Its Time, or that of an earlier receipt in its
	// headers, is when the event was received. Its Topic is empty when the
	// event is not on a topic.
	Record    topology.Record
	Lane      topology.Lane
	Catalogue *catalogue.Catalogue
	Now       time.Time // of the decision
	// Show puts the recipient and the content of the message into the answer;
	// without it neither is there.
	Show bool
}

// Explanation is a decision and how it came about.
type Explanation struct {
	Event      Event       `json:"event"`
	Fault      *Fault      `json:"fault,omitempty"` // of an event that breaks the contract; then nothing was chosen
	Candidates []Candidate `json:"candidates"`      // for the type and channel, in the order of preference
	Others     []Other     `json:"others"`          // that are no candidates, and nearly were
	Language   *Language   `json:"language,omitempty"`
	Validity   Validity    `json:"validity"`
	Decision   Decision    `json:"decision"`
	Message    *Message    `json:"message,omitempty"` // when one is due
}

// Decision is what the matcher makes of the event.
type Decision struct {
	Status   topology.Status      `json:"status"`
	Reason   topology.Reason      `json:"reason,omitempty"`
	Detail   string               `json:"detail,omitempty"`
	Template topology.TemplateRef `json:"template,omitempty"`
	Language string               `json:"language,omitempty"`
	Expires  *time.Time           `json:"expires,omitempty"`
	At       time.Time            `json:"at"` // when it is made
}

// Explain decides on the event as the matcher does, and says why.
func Explain(q Question) *Explanation {
	event, err := topology.DecodeEvent(q.Record, q.Lane)
	receipt := topology.ReceiptOf(&q.Record)
	e := &Explanation{Event: eventOf(&q, &event, &receipt), Candidates: []Candidate{}, Others: []Other{}}
	if err != nil {
		e.refuse(err, q.Now)
		e.Validity = validityOf(&event, receipt.At, 0, time.Time{}, q.Now)
		return e
	}
	var trace match.Trace
	d := match.Decide[*catalogue.Entry](&event, receipt.At, q.Catalogue, q.Now, &trace)
	e.Decision = decisionOf(&d, q.Now)
	e.Candidates = candidatesOf(&event, q.Catalogue, &d, &trace)
	e.Others = othersOf(&event, q.Catalogue)
	chosen, ok := q.Catalogue.ByRef(d.Template)
	if !ok {
		e.Validity = validityOf(&event, receipt.At, 0, event.Expiration, q.Now)
		return e
	}
	e.Language = languageOf(event.Language, chosen.Languages(), d.Language)
	e.Validity = validityOf(&event, receipt.At, chosen.TTL(), d.Expires, q.Now)
	if d.Status == topology.PendingDelivery {
		e.Message = messageOf(chosen, &event, d.Language, q.Show)
	}
	return e
}

// refuse is what the matcher says of an event that breaks the contract.
func (e *Explanation) refuse(err error, now time.Time) {
	var fault *topology.Fault
	if !errors.As(err, &fault) {
		fault = &topology.Fault{Reason: topology.ReasonInvalid, Detail: err.Error()}
	}
	e.Fault = &Fault{Reason: fault.Reason, Field: fault.Field, Detail: fault.Detail}
	e.Decision = Decision{
		Status: topology.NotCovered, Reason: topology.ReasonInvalid,
		Detail: string(fault.Reason) + ": " + fault.Error(), At: now,
	}
}

func decisionOf(d *match.Decision, now time.Time) Decision {
	return Decision{
		Status: d.Status, Reason: d.Reason, Detail: d.Detail,
		Template: d.Template, Language: d.Language, Expires: maybe(d.Expires), At: now,
	}
}

// maybe is nil for no time.
func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
