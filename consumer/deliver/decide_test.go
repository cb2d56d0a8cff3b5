package deliver

import (
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// TestBeforeSending: what ends a claimed job comes in this order: a template
// that risks no second message, the validity, the address, and what bars the
// recipient.
func TestBeforeSending(t *testing.T) {
	killed := ending{topology.Ignored, topology.ReasonKilled, "by kim"}
	maybeSent := ending{status: topology.DeliveryError, reason: topology.ReasonAmbiguous}
	for name, test := range map[string]struct {
		claim   claimState
		hold    bool
		expired bool
		to      string
		barred  ending
		want    ending // whose detail does not count
	}{
		"nothing in the way":                 {claim: granted},
		"perhaps sent by another":            {claim: leaseExpired},
		"perhaps sent by an earlier attempt": {claim: ambiguous, hold: true},
		"not twice":                          {claim: leaseExpired, hold: true, expired: true, want: maybeSent},
		"expired": {
			claim: granted, expired: true, to: "kim", barred: killed,
			want: ending{status: topology.Expired, reason: topology.ReasonExpired},
		},
		"expired, perhaps sent": {claim: ambiguous, expired: true, to: "kim", want: maybeSent},
		"no address, perhaps sent": {
			claim: ambiguous, to: "kim", barred: killed,
			want: ending{status: topology.Ignored, reason: topology.ReasonInvalidAddress},
		},
		"killed":               {claim: granted, barred: killed, want: killed},
		"killed, perhaps sent": {claim: leaseExpired, barred: killed, want: maybeSent},
	} {
		job := aJob("event")
		if test.expired {
			job.Expires = always
		}
		if test.to != "" {
			job.To = test.to
		}
		d := &delivery{job: job, policy: &Policy{HoldAmbiguous: test.hold}, claim: test.claim, barred: test.barred}
		d.readAddress("")
		got := beforeSending(d, always)
		if got.status != test.want.status || got.reason != test.want.reason {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// TestAfterAnswer: which answers end a delivery, and how those that do not do so
// in the end, when no other attempt follows.
func TestAfterAnswer(t *testing.T) {
	for _, test := range []struct {
		verdict    provider.Verdict
		hold       bool
		ambiguous  bool
		reason     topology.Reason // in the end
		ends       bool
		wantStatus topology.Status
	}{
		{provider.Accepted, true, true, "", true, topology.Sent},
		{provider.Skipped, false, true, topology.ReasonSuppressed, true, topology.Ignored},
		{provider.Rejected, false, true, topology.ReasonProviderRejected, true, topology.DeliveryError},
		{provider.Expired, false, false, topology.ReasonExpired, true, topology.Expired},
		{provider.Expired, false, true, topology.ReasonAmbiguous, true, topology.DeliveryError},
		{provider.Unknown, true, true, topology.ReasonAmbiguous, true, topology.DeliveryError},
		{provider.Unknown, false, true, topology.ReasonAmbiguous, false, topology.DeliveryError},
		{provider.Failed, false, false, topology.ReasonRetriesExhausted, false, topology.DeliveryError},
		{provider.Failed, true, true, topology.ReasonAmbiguous, false, topology.DeliveryError},
		{provider.Down, false, false, topology.ReasonProviderDown, false, topology.DeliveryError},
		{provider.Throttled, false, false, topology.ReasonRetriesExhausted, false, topology.DeliveryError},
	} {
		answer := provider.Response{Verdict: test.verdict, Reason: topology.ReasonSuppressed, Detail: "detail"}
		end := afterAnswer(&answer, &Policy{HoldAmbiguous: test.hold}, test.ambiguous)
		if ends := end != (ending{}); ends != test.ends {
			t.Errorf("%v: ends %v, want %v", test.verdict, ends, test.ends)
		} else if !ends {
			end = afterTries(&answer, test.ambiguous)
		}
		if end.status != test.wantStatus || end.reason != test.reason {
			t.Errorf("%v, ambiguous %v: %+v", test.verdict, test.ambiguous, end)
		}
	}
}

// TestNextAttempt: after the template's waits or else the role's, never before
// the provider wants it, and never past the validity.
func TestNextAttempt(t *testing.T) {
	minute := []time.Duration{time.Minute}
	for name, test := range map[string]struct {
		own      []time.Duration
		attempt  int
		after    time.Duration
		expires  time.Duration
		atLeast  time.Duration // zero: there is none
		notAfter time.Duration
	}{
		"the role's":               {nil, 1, 0, 0, time.Minute, 72 * time.Second},
		"the template's":           {[]time.Duration{time.Hour}, 1, 0, 0, time.Hour, 72 * time.Minute},
		"the provider's":           {nil, 1, 2 * time.Hour, 0, 2 * time.Hour, 2 * time.Hour},
		"none of the template":     {[]time.Duration{}, 1, 0, 0, 0, 0},
		"the last":                 {nil, 2, 0, 0, 0, 0},
		"past the validity":        {nil, 1, 0, time.Minute, 0, 0},
		"just within the validity": {nil, 1, 0, 73 * time.Second, time.Minute, 72 * time.Second},
	} {
		job := aJob("event", nth(test.attempt))
		if test.expires > 0 {
			job.Expires = always.Add(test.expires)
		}
		d := &delivery{job: job, policy: &Policy{Retries: test.own}}
		due, more := nextAttempt(d, always, test.after, minute)
		wait := due.Sub(always)
		if more != (test.atLeast > 0) || more && (wait < test.atLeast || wait > test.notAfter) {
			t.Errorf("%s: %v after %v", name, more, wait)
		}
	}
}
