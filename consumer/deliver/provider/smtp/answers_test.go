package smtp

import (
	"errors"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// refusal is what a server says where it refuses, as it arrives: lines with \n between.
func refusal(at stage, line string) *failure {
	code, _ := strconv.Atoi(line[:3])
	msg := strings.ReplaceAll(line[4:], "\n"+line[:3]+"-", "\n")
	return &failure{stage: at, err: &textproto.Error{Code: code, Msg: msg}}
}

// TestShippedAnswers: what receivers and relays say, and what it means for a message.
func TestShippedAnswers(t *testing.T) {
	text, err := os.ReadFile("testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]stage{
		"connection": stageGreeting, "sender": stageMail, "recipient": stageRcpt, "message": stageEnd,
	}
	var at stage
	var want string
	said := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if group, ok := strings.CutPrefix(line, "== "); ok {
			place, means, _ := strings.Cut(group, " ")
			at, want = stages[place], means
			continue
		}
		said++
		r := refusal(at, strings.ReplaceAll(line, `\n`, "\n")).response(nil)
		got := r.Verdict.String()
		if r.Reason != "" {
			got += " " + string(r.Reason)
		}
		if r.RetryAfter > 0 {
			got += " " + r.RetryAfter.String()
		}
		if got != want {
			t.Errorf("%s: %q: %s, want %s", at, line, got, want)
		}
		for _, private := range []string{" kim", "example", "192."} {
			if strings.Contains(r.Detail, private) {
				t.Errorf("%q: the detail is %q", line, r.Detail)
			}
		}
		if len(r.Detail) > 220 || !strings.Contains(r.Detail, line[:3]) {
			t.Errorf("%q: the detail of %d bytes is %q", line, len(r.Detail), r.Detail)
		}
	}
	if said < 250 {
		t.Errorf("%d answers", said)
	}
}

// TestEnhancedCodes are found wherever servers put them, and nothing else is taken for one.
func TestEnhancedCodes(t *testing.T) {
	for text, want := range map[string]string{
		"5.1.1 no": "5.1.1", "#5.1.0 Address rejected": "5.1.0", "no (5.2.1)": "5.2.1", "<a@b>: 5.7.1: no": "5.7.1",
		"[5.4.1]": "5.4.1", "first\n5.1.10 second": "5.1.10", "4.7.1 then 5.7.1": "5.7.1", "no": "",
		"[5.1.1.7] blocked": "", "version 5.1.2600": "", "15.1.1 x": "", "4.2.1 later": "",
	} {
		if got := enhancedIn("550", text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestDetailsShowWhatWasSaid, and nothing of whom, or of the message.
func TestDetailsShowWhatWasSaid(t *testing.T) {
	for line, want := range map[string]string{
		"550 5.1.1 <kim@example.com>: Recipient address rejected: User unknown in table": "550 5.1.1 while naming the " +
			"recipient: recipient address rejected user unknown in table",
		"554 5.7.1 Kim.Doe's \"Your code is 4711\" looks like spam": "554 5.7.1 while naming the recipient: " +
			"is … looks … spam",
		"550 " + strings.Repeat("user unknown ", 100): "550 while naming the recipient: " +
			strings.TrimSpace(strings.Repeat("user unknown ", 9)),
		"550 kim": "550 while naming the recipient",
	} {
		if got := refusal(stageRcpt, line).response(nil).Detail; got != "the mail server answered "+want {
			t.Errorf("%q:\n%q, want\n%q", line, got, want)
		}
	}
}

// TestConfiguredAnswers go before the shipped ones, and each of their patterns counts.
func TestConfiguredAnswers(t *testing.T) {
	s, err := New(Config{Host: "mx.example.test", From: "shop@example.com", Answers: []Rule{
		{At: "recipient", Code: "55x", Enhanced: "5.7.1", Text: "over quota", Verdict: provider.Failed,
			RetryAfter: time.Minute},
		{Enhanced: `5.1.x`, Verdict: provider.Rejected},
		{Code: "551", Verdict: provider.Skipped},
		{At: "message", Code: "554", Text: "duplicate", Verdict: provider.Accepted},
		{At: "connection", Code: "421", Verdict: provider.Failed},
		{Code: "559", Verdict: provider.Unknown},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		at   stage
		line string
		want provider.Response
	}{
		{stageRcpt, "550 5.7.1 Over Quota", provider.Response{Verdict: provider.Failed, RetryAfter: time.Minute,
			OfMessage: true}},
		{stageEnd, "550 5.7.1 over quota", provider.Response{Verdict: provider.Rejected}},
		{stageRcpt, "550 5.7.2 over quota", provider.Response{Verdict: provider.Rejected}},
		{stageRcpt, "500 5.7.1 over quota", provider.Response{Verdict: provider.Rejected}},
		{stageRcpt, "550 5.1.1 user unknown", provider.Response{Verdict: provider.Rejected}},
		{stageRcpt, "550 user unknown", provider.Response{Verdict: provider.Skipped, Reason: topology.ReasonInvalidAddress}},
		{stageRcpt, "551 as you like", provider.Response{Verdict: provider.Skipped, Reason: topology.ReasonInvalidAddress}},
		{stageEnd, "554 duplicate", provider.Response{Verdict: provider.Accepted}},
		{stageGreeting, "421 later", provider.Response{Verdict: provider.Failed}},
		{stageGreeting, "420 later", provider.Response{Verdict: provider.Down}},
		{stageEnd, "559 what", provider.Response{Verdict: provider.Unknown}},
	} {
		got := refusal(test.at, test.line).response(s.config.Answers)
		if got.Detail = ""; got != test.want {
			t.Errorf("%s: %q: %+v", test.at, test.line, got)
		}
	}
	for want, bad := range map[string]Rule{
		"fit every":         {Verdict: provider.Down},
		"the pattern":       {Text: "(", Verdict: provider.Down},
		"do not have":       {Code: "5xx", Verdict: provider.Throttled},
		"at: message":       {Code: "5xx", Verdict: provider.Accepted},
		"only skipped":      {Code: "5xx", Verdict: provider.Down, Reason: topology.ReasonSuppressed},
		"only failed and d": {Code: "5xx", Verdict: provider.Rejected, RetryAfter: time.Second},
	} {
		_, err := New(Config{Host: "mx", From: "shop@example.com", Answers: []Rule{bad}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestWhoseFailure: what may be one message's or its recipient's alone tells nothing of others; limits, the server's
// system and its connection do.
func TestWhoseFailure(t *testing.T) {
	for line, own := range map[string][2]bool{ // naming the recipient, at the end
		"450 4.2.0 Greylisted": {true, true}, "451 4.7.1 Greylisting in action": {true, true},
		"550 5.7.1 greylisted": {true, true}, "451 4.7.1 try later": {true, false}, "451 later": {true, false},
		"452 4.2.2 mailbox full": {true, true}, "450 4.1.1 unverified": {true, true},
		"450-4.2.1 The user you are trying to contact is receiving mail too quickly": {true, true},
		"451 4.6.0 content": {true, true}, "452 4.3.1 Insufficient system storage": {false, false},
		"451 4.3.5 Server configuration problem": {false, false}, "421 4.7.0 closing": {false, false},
		"421 shutting down": {false, false}, "451 4.7.650 temporarily rate limited": {false, false},
		"450 Mailbox over quota": {true, true}, "452 insufficient system storage": {true, false},
		"450 Account hourly quota exceeded": {false, false}, "450 Account over quota": {true, true},
		"550 5.4.5 Daily user sending limit exceeded": {false, false}, "454 Throttling failure": {false, false},
	} {
		for i, at := range []stage{stageRcpt, stageEnd} {
			if r := refusal(at, line).response(nil); r.Verdict != provider.Failed || r.OfMessage != own[i] {
				t.Errorf("%s: %q: %+v", at, line, r)
			}
		}
	}
}

// TestNoAnswer: an error that is no answer has no code.
func TestNoAnswer(t *testing.T) {
	f := failure{stage: stageRcpt, err: errors.New("broken")}
	if code, enhanced, text := f.answered(); code+enhanced+text != "" || f.response(nil).Verdict != provider.Down {
		t.Error(code, enhanced, text)
	}
	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Name: "mx.example", IsNotFound: true}}
	for err, want := range map[error]string{
		unknown: "connecting: its name was not resolved", errors.New("broken"): "connecting",
	} {
		f := failure{stage: stageConnect, err: err}
		if r := f.response(nil); r.Detail != "no answer from the mail server while "+want {
			t.Errorf("%+v", r)
		}
	}
}
