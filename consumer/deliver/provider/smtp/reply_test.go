package smtp

import (
	"bufio"
	"context"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// TestReplies: what every class of answers, at every stage, comes to, and
// whether the connection is good for the next message.
func TestReplies(t *testing.T) {
	const invalid = topology.ReasonInvalidAddress
	for _, test := range []struct {
		at, answer string
		verdict    provider.Verdict
		reason     topology.Reason
		kept       bool
	}{
		{"END", "250 2.0.0 queued", provider.Accepted, "", true},
		{"END", "251 as you like", provider.Accepted, "", true},
		{"END", "250", provider.Accepted, "", true},
		{"END", "250-queued\r\n 250 as it seems\r\n250 7f", provider.Accepted, "", true},

		{"RCPT", "550-5.1.1 no\r\n554 5.1.1 no", provider.Skipped, invalid, true},
		{"RCPT", "250-well\r\n550 5.1.1 no", provider.Skipped, invalid, true},
		{"END", "250-queued\r\n451 no", provider.Failed, "", true},
		{"END", "451-no\r\n250 queued", provider.Failed, "", true},
		{"END", "550-no\r\n451 later", provider.Failed, "", true},
		{"END", "250-queued\r\n354 go on", provider.Unknown, "", false},

		{"GREETING", "554 5.3.2 closed", provider.Down, "", false},
		{"GREETING", "421 4.3.2 later", provider.Down, "", false},
		{"GREETING", "hello there", provider.Down, "", false},
		{"GREETING", hangUp, provider.Down, "", false},
		{"GREETING", saysNone, provider.Down, "", false},
		{"EHLO", "550 5.7.1 go away", provider.Down, "", false},

		{"MAIL", "451 4.3.0 later", provider.Failed, "", true},
		{"MAIL", "421 4.3.2 closing", provider.Failed, "", false},
		{"MAIL", "530 5.7.0 log in first", provider.Down, "", true},
		{"MAIL", "550 5.1.8 unknown sender", provider.Down, "", true},
		{"MAIL", "553 5.1.7 bad sender", provider.Down, "", true},
		{"MAIL", "354 what", provider.Failed, "", false},
		{"MAIL", hangUp, provider.Down, "", false},
		{"MAIL", saysNone, provider.Down, "", false},

		{"RCPT", "550 5.1.1 <kim@example.com>: no such user", provider.Skipped, invalid, true},
		{"RCPT", "550 5.1.2 no such domain", provider.Skipped, invalid, true},
		{"RCPT", "550 5.1.10 null MX", provider.Skipped, invalid, true},
		{"RCPT", "501 5.1.3 bad syntax", provider.Skipped, invalid, true},
		{"RCPT", "501 5.5.4 bad syntax", provider.Skipped, invalid, true},
		{"RCPT", "501 bad syntax", provider.Skipped, invalid, true},
		{"RCPT", "553 not a name", provider.Skipped, invalid, true},
		{"RCPT", "556 takes no mail", provider.Skipped, invalid, true},
		{"RCPT", "550 kim@example.com: no", provider.Rejected, "", true},
		{"RCPT", "550 5.7.1 relaying denied", provider.Down, "", true},
		{"RCPT", "553 5.7.1 not your sender address", provider.Down, "", true},
		{"RCPT", "550 5.1.8 unknown sender", provider.Down, "", true},
		{"RCPT", "552 5.2.2 mailbox full", provider.Rejected, "", true},
		{"RCPT", "450 4.2.1 greylisted", provider.Failed, "", true},
		{"RCPT", "450 4.1.1 unverified", provider.Failed, "", true},
		{"RCPT", "421 4.7.0 too many", provider.Failed, "", false},
		{"RCPT", hangUp, provider.Down, "", false},

		{"DATA", "451 4.3.0 later", provider.Failed, "", true},
		{"DATA", "554 5.5.1 no valid recipients", provider.Rejected, "", true},
		{"DATA", "250 what", provider.Failed, "", false},
		{"DATA", hangUp, provider.Down, "", false},
		{"TEXT", hangUp, provider.Unknown, "", false}, // small texts arrive with their dot

		{"END", "451 4.3.0 later", provider.Failed, "", true},
		{"END", "452 4.3.1 disk full", provider.Failed, "", true},
		{"END", "421 4.3.2 closing", provider.Failed, "", false},
		{"END", "550 5.7.1 spam", provider.Rejected, "", true},
		{"END", "554 5.6.0 bad content for kim@example.com", provider.Rejected, "", true},
		{"END", "354 what", provider.Unknown, "", false},
		{"END", "gibberish", provider.Unknown, "", false},
		{"END", hangUp, provider.Unknown, "", false},
		{"END", saysNone, provider.Unknown, "", false},
	} {
		t.Run(test.at+" "+test.answer, func(t *testing.T) {
			t.Parallel()
			d := newDialogue(t, map[string]string{test.at: test.answer})
			s := newSMTP(t, d.port, func(c *Config) {
				if test.answer == saysNone {
					c.Timeout = 50 * time.Millisecond
				}
			})
			r := s.try(t, "event")
			if r.Verdict != test.verdict || r.Reason != test.reason {
				t.Errorf("verdict %v %s, want %v %s: %s", r.Verdict, r.Reason, test.verdict, test.reason, r.Detail)
			}
			if strings.Contains(r.Detail, "kim@") || r.Detail == "" && r.Verdict != provider.Accepted {
				t.Errorf("detail %q", r.Detail)
			}
			if code, _, _ := strings.Cut(test.answer, " "); r.Verdict != provider.Accepted && test.answer != saysNone &&
				len(code) == 3 && !strings.Contains(r.Detail, code) {
				t.Errorf("the detail %q does not name the answer %s", r.Detail, test.answer)
			}
			if kept := s.idle.size() == 1; kept != test.kept {
				t.Errorf("connection kept: %v, want %v", kept, test.kept)
			}
		})
	}
}

// TestAfterARefusal the same connection takes the next message.
func TestAfterARefusal(t *testing.T) {
	for _, stage := range []string{"MAIL", "RCPT", "DATA", "END"} {
		d := newDialogue(t, map[string]string{stage: "450 4.0.0 later"})
		s := newSMTP(t, d.port, nil)
		if r := s.try(t, "one"); r.Verdict != provider.Failed {
			t.Errorf("%s: %v %s", stage, r.Verdict, r.Detail)
		}
		d.say(stage, usualReplies[stage])
		if r := s.try(t, "two"); r.Verdict != provider.Accepted {
			t.Errorf("%s: then %v %s", stage, r.Verdict, r.Detail)
		}
		if d.connections != 1 || d.count("RSET") != 1 {
			t.Errorf("%s: %d connections, %d resets", stage, d.connections, d.count("RSET"))
		}
	}
}

// TestAStaleConnection is found out before a message is on it.
func TestAStaleConnection(t *testing.T) {
	for _, answer := range []string{hangUp, "421 4.4.2 idle for too long", "500 what?"} {
		d := newDialogue(t, map[string]string{"RSET": answer})
		s := newSMTP(t, d.port, nil)
		for _, id := range manyMails(3) {
			if r := s.try(t, id); r.Verdict != provider.Accepted {
				t.Errorf("%s: %v %s", answer, r.Verdict, r.Detail)
			}
		}
		if d.connections != 3 || len(d.texts) != 3 {
			t.Errorf("%s: %d connections, %d messages", answer, d.connections, len(d.texts))
		}
	}
}

// TestCancel: a context that ends is obeyed at once, before the end of a
// message as after it.
func TestCancel(t *testing.T) {
	for stage, want := range map[string]provider.Verdict{"GREETING": provider.Down, "RCPT": provider.Down,
		"END": provider.Unknown} {
		d := newDialogue(t, map[string]string{stage: saysNone})
		s := newSMTP(t, d.port, func(c *Config) { c.Timeout = time.Minute })
		ctx, stop := context.WithCancel(t.Context())
		d.mu.Lock()
		d.silent = stop
		d.mu.Unlock()
		job, m := aMail("event")
		began := time.Now()
		if r := s.Send(ctx, job, m); r.Verdict != want {
			t.Errorf("%s: %v %s", stage, r.Verdict, r.Detail)
		}
		if took := time.Since(began); took > 30*time.Second { // of the minute that it has
			t.Errorf("%s: took %v", stage, took)
		}
	}
}

// TestNobodyThere: a refused connection is the provider's being down.
func TestNobodyThere(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, func(c *Config) { c.Host, c.Port = "127.0.0.1", 1 })
	if r := s.try(t, "event"); r.Verdict != provider.Down ||
		r.Detail != "no answer from the mail server while connecting" {
		t.Errorf("%v %q", r.Verdict, r.Detail)
	}
}

// TestLateAtTheServer: a job whose validity ends while connecting is not sent.
func TestLateAtTheServer(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, nil)
	job, m := aMail("event")
	job.Expires = time.Now()
	if r := s.Send(t.Context(), job, m); r.Verdict != provider.Expired || d.count("MAIL") != 0 {
		t.Errorf("%v, %d sent", r.Verdict, d.count("MAIL"))
	}
}

// TestALostConnection in the middle of a message is no ambiguity: without its
// end no server accepts it.
func TestALostConnection(t *testing.T) {
	d := newDialogue(t, map[string]string{"TEXT": hangUp})
	s := newSMTP(t, d.port, nil)
	job, m := aMail("event")
	m.Text = strings.Repeat("All work and no play makes Jack a dull boy.\n", 200_000)
	if r := s.Send(t.Context(), job, m); r.Verdict != provider.Down {
		t.Errorf("%v %s", r.Verdict, r.Detail)
	}
}

// TestAnEndedContext spoils the connection that it bounded.
func TestAnEndedContext(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, nil)
	if r := s.try(t, "event"); r.Verdict != provider.Accepted {
		t.Fatal(r)
	}
	conn := s.idle.take()
	defer conn.drop()
	ctx, cancel := context.WithCancel(t.Context())
	release := conn.bound(ctx)
	cancel()
	if release(); !conn.broken {
		t.Error("it is used again, with a deadline in the past")
	}
}

// TestAnAnswerWithoutEnd is given up after some of it, wherever it comes: as no answer
// where the message cannot have been accepted, and else as one that is not known.
func TestAnAnswerWithoutEnd(t *testing.T) {
	endless := strings.Repeat("250-and so on\r\n", 200_000) + "250 Ok"
	for _, verb := range []string{"GREETING", "EHLO", "MAIL", "END"} {
		d := newDialogue(t, map[string]string{verb: endless})
		s := newSMTP(t, d.port, nil)
		job, m := aMail("event")
		want := provider.Down
		if verb == "END" {
			want = provider.Unknown
		}
		if r := s.Send(t.Context(), job, m); r.Verdict != want {
			t.Errorf("%s: %+v", verb, r)
		}
	}
}

// FuzzReply: whatever a server answers, at whatever stage, has a meaning, without the server's own words.
func FuzzReply(f *testing.F) {
	f.Add("550-5.1.1 secret\r\n550 5.1.1 secret\r\n", 6)
	f.Add("999 \xff\r\n", 9)
	f.Add("2", 0)
	stages := []stage{stageConnect, stageTLS, stageGreeting, stageAuth, stageReset, stageMail, stageRcpt, stageData,
		stageContent, stageEnd}
	f.Fuzz(func(t *testing.T, text string, at int) {
		if at < 0 || at >= len(stages) {
			return
		}
		_, _, err := textproto.NewReader(bufio.NewReader(strings.NewReader(text))).ReadResponse(250)
		if err == nil {
			return
		}
		failed := &failure{stage: stages[at], err: err}
		r, code := failed.response(nil), 0
		if _, scanned := fmt.Sscanf(text, "%3d", &code); scanned == nil && failed.keepsConnection() && code < 100 {
			t.Fatalf("%q keeps the connection", text)
		}
		if r.Verdict == provider.Accepted || len(r.Detail) > 220 || strings.Contains(r.Detail, "secret") {
			t.Fatalf("%q means %+v", text, r)
		}
	})
}
