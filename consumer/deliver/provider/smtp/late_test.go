package smtp

import (
	"context"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
)

// TestLateAnswer: a server that keeps a message for longer than a try may take is waited for, holds up no other
// message, and its answer means what it always does.
func TestLateAnswer(t *testing.T) {
	for _, test := range []struct {
		answer string
		want   provider.Verdict
		kept   bool // the connection
	}{
		{"250 2.0.0 queued", provider.Accepted, true}, {"251 as you like", provider.Accepted, true},
		{"451 4.3.0 later", provider.Failed, true}, {"550 5.7.1 spam", provider.Rejected, true},
		{"421 4.3.2 closing", provider.Failed, false}, {"gibberish here", provider.Unknown, false},
		{hangUp, provider.Unknown, false},
	} {
		d := newDialogue(t, map[string]string{"END": saysLate})
		s := newSMTP(t, d.port, func(c *Config) { c.Timeout = 50 * time.Millisecond })
		r := s.try(t, "slow")
		if r.Verdict != provider.Unknown || r.Late == nil || r.Detail == "" || s.idle.size() != 0 {
			t.Fatalf("%s: %+v", test.answer, r)
		}
		s.config.Timeout = 5 * time.Second
		d.say("END", usualReplies["END"])
		if r := s.try(t, "another"); r.Verdict != provider.Accepted || d.met() != 2 {
			t.Errorf("%s: meanwhile %+v, %d connections", test.answer, r, d.met())
		}
		if test.want == provider.Accepted { // a part of it before the rest
			d.later <- test.answer[:3] + "-part of it"
		}
		go func() { d.later <- test.answer }()
		got := r.Late.Wait(t.Context())
		if got.Verdict != test.want || got.Late != nil || (got.MessageID != "") != (test.want == provider.Accepted) {
			t.Errorf("%s: %+v", test.answer, got)
		}
		if kept := s.idle.size() == 2; kept != test.kept {
			t.Errorf("%s: connection kept: %v", test.answer, kept)
		}
		if r := s.try(t, "next"); r.Verdict != provider.Accepted || d.met() != 2 {
			t.Errorf("%s: then %+v, %d connections", test.answer, r, d.met())
		}
	}
}

// TestNoAnswerAtAll: a wait that ends leaves the message in doubt; one that this process ends is still owed.
func TestNoAnswerAtAll(t *testing.T) {
	for _, closes := range []bool{false, true} {
		d := newDialogue(t, map[string]string{"END": saysNone})
		s := newSMTP(t, d.port, func(c *Config) { c.Timeout = 50 * time.Millisecond })
		r := s.try(t, "event")
		if r.Late == nil {
			t.Fatalf("%+v", r)
		}
		ctx, stop := context.WithCancel(t.Context())
		if closes {
			s.Close()
		} else {
			stop()
		}
		if got := r.Late.Wait(ctx); got.Verdict != provider.Unknown || (got.Late != nil) != closes || s.idle.size() != 0 {
			t.Errorf("closes %v: %+v", closes, got)
		}
		stop()
	}
}
