package receive

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
)

// reportOf is a report as Postfix makes them.
func reportOf(action, status, original, final string, about ...string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="41F2C.1795809600/mx.example.org"

--41F2C.1795809600/mx.example.org
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

--41F2C.1795809600/mx.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
X-Postfix-Queue-ID: 41F2C
Arrival-Date: Fri, 27 Nov 2026 20:00:00 +0000 (UTC)

Final-Recipient: rfc822; %s
Original-Recipient: rfc822;%s
Action: %s
Status: %s
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; 550 5.1.1 <kim@example.net>: Recipient address
    rejected: User unknown

--41F2C.1795809600/mx.example.org
Content-Type: message/rfc822

%s
Subject: hello

--41F2C.1795809600/mx.example.org--
`, final, original, action, status, strings.Join(append([]string{"X-A: b"}, about...), "\n")), "\n", "\r\n")
}

// feedbackOf is what a feedback loop reports, as RFC 5965 has it in its examples.
func feedbackOf(kind, fields string, about ...string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: <abusedesk@example.net>
Subject: FW: Earn money
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
	boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

This is an email abuse report.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: %s
User-Agent: SomeGenerator/1.0
Version: 1
%s
Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT
Source-IP: 192.0.2.1
Reported-Domain: example.com

--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

Received: from mailserver.example.com (mailserver.example.com [192.0.2.1])
	by example.net with ESMTP id M63d4137594e46
%s
Subject: Earn money

Spam Spam Spam
--part1_13d.2e68ed54_boundary--
`, kind, fields, strings.Join(append([]string{"X-A: b"}, about...), "\n")), "\n", "\r\n")
}

// TestBounces: a mail server brings reports over SMTP.
func TestBounces(t *testing.T) {
	for name, row := range map[string]struct {
		to, text          string
		entry, suppressed string
		code              int // of a refusal
		count             string
	}{
		"unknown user": {refTo(kim), reportOf("failed", "5.1.1", kim, kim),
			"delivery_error/bounced/bounced: 5.1.1", "email " + kim + " bounced", 0, "bounced"},
		"a forwarded one": {refTo(kim), reportOf("failed", "5.1.1", kim, "other@example.org"),
			"delivery_error/bounced/bounced: 5.1.1", "email " + kim + " bounced", 0, "bounced"},
		"a lower case": {strings.ToUpper(refTo(kim)), reportOf("FAILED", "5.1.10 (bad)", "Kim@Example.net", "x"),
			"delivery_error/bounced/bounced: 5.1.10", "email kim@example.net bounced", 0, "bounced"},
		"somebody else's": {refTo(kim), reportOf("failed", "5.1.1", "robin@example.net", "robin@example.net"),
			"delivery_error/bounced/bounced: 5.1.1", "", 0, "bounced"},
		"full": {refTo(kim), reportOf("failed", "5.2.2", kim, kim),
			"delivery_error/bounced/failed: 5.2.2", "", 0, "failed"},
		"too late": {refTo(kim), reportOf("failed", "4.4.7", kim, kim),
			"delivery_error/bounced/failed: 4.4.7", "", 0, "failed"},
		"policy": {refTo(kim), reportOf("failed", "5.7.1", kim, kim),
			"delivery_error/bounced/failed: 5.7.1", "", 0, "failed"},
		"delayed":   {refTo(kim), reportOf("delayed", "4.4.1", kim, kim), "", "", 0, "nothing"},
		"delivered": {refTo(kim), reportOf("delivered", "2.0.0", kim, kim), "sent//delivered: 2.0.0", "", 0, "delivered"},
		"a large one": {refTo(kim), reportOf("failed", "5.1.1", kim, kim) + strings.Repeat("0123456789abcdef\r\n", 100_000),
			"delivery_error/bounced/bounced: 5.1.1", "email " + kim + " bounced", 0, "bounced"},
		"in base64": {refTo(kim), "Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n" +
			"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte("A: b\r\n\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n")) + "\r\n--a--\r\n",
			"delivery_error/bounced/failed: 5.2.2", "", 0, "failed"},
		"a forwarded one that was sent to her": {refTo(kim),
			reportOf("failed", "5.1.1", "x@example.org", "x@example.org", "Return-Path: <x@example.org>", "To: Kim <"+kim+">"),
			"delivery_error/bounced/bounced: 5.1.1", "email " + kim + " bounced", 0, "bounced"},
		"an address beside a comment": {refTo(kim), reportOf("failed", "5.1.1", kim+" (unknown)", ""),
			"delivery_error/bounced/bounced: 5.1.1", "email " + kim + " bounced", 0, "bounced"},
		"a complaint": {refTo(kim), feedbackOf("abuse", "Original-Rcpt-To: <"+kim+">"), "sent//complained",
			"email " + kim + " complaint", 0, "complained"},
		"a complaint to a feedback loop": {"Abuse", feedbackOf("abuse", "Original-Mail-From: <"+refTo(kim)+
			"@bounces.example.com>\nOriginal-Rcpt-To: "+kim), "sent//complained",
			"email " + kim + " complaint", 0, "complained"},
		"a complaint about what is returned": {"abuse", feedbackOf("Fraud", "Original-Rcpt-To: redacted@example.net",
			"Return-Path: <"+refTo(kim)+"@bounces.example.com>", "To: \"Lind, Kim\" <"+kim+">"), "sent//complained",
			"email " + kim + " complaint", 0, "complained"},
		"a complaint by somebody": {"abuse", feedbackOf("abuse", "Original-Mail-From: <"+refTo(kim)+
			"@bounces.example.com>\nOriginal-Rcpt-To: <redacted@example.net>"), "sent//complained", "", 0, "complained"},
		"a complaint about another's message": {"abuse", feedbackOf("abuse",
			"Original-Mail-From: <shop@example.com>\nOriginal-Rcpt-To: "+kim), "", "", 0, Unknown},
		"a complaint about another's recipient": {"abuse", feedbackOf("abuse", "Original-Mail-From: <"+refTo(kim)+
			"@bounces.example.com>\nOriginal-Rcpt-To: <robin@example.net>"), "sent//complained", "", 0, "complained"},
		"an end of a subscription": {refTo(kim), feedbackOf("opt-out", "Removal-Recipient: <"+kim+">"), "sent//unsubscribed",
			"email " + kim + " unsubscribed", 0, "unsubscribed"},
		"no spam after all": {refTo(kim), feedbackOf("not-spam", "Original-Rcpt-To: <"+kim+">"), "", "", 0, "nothing"},
		"a letter to abuse": {"abuse", "Subject: hello\r\n\r\nI complain.\r\n", "", "", 0, Unknown},
		"a holiday":         {refTo(kim), "Subject: away\r\n\r\nI am on holiday.\r\n", "", "", 0, Unknown},
		"half a report": {refTo(kim), "Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n" +
			"Content-Type: message/delivery-status\r\n\r\nA: b\r\n", "", "", 0, Unknown},
		"no message's": {"bounces", "", "", "", 550, Refused},
	} {
		s := newSite(t)
		code := sendTo(t, s, row.to+"@bounces.example.com", row.text)
		got := ""
		for _, e := range s.entries {
			got = fmt.Sprintf("%s/%s/%s", e.Status, e.Reason, e.Detail)
			if e.EventID != eventID || e.Attempt != 2 || e.Provider != "ses" || e.ProviderMessageID != "m-1" {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if got != row.entry || strings.Join(s.suppressed, "") != row.suppressed || code != row.code ||
			s.Counts()[Count{Mail, row.count}] != 1 {
			t.Errorf("%s: %q, suppressed %q, refused %d, %v", name, got, s.suppressed, code, s.Counts())
		}
	}
	s := newSite(t)
	s.away = errAway
	if code := sendTo(t, s, refTo(kim)+"@bounces.example.com", reportOf("failed", "5.1.1", kim, kim)); code != 451 {
		t.Errorf("while the servers are away: %d", code)
	}
}

// TestLongHeaders: of a header with more names than any report has, little is read, wherever it is.
func TestLongHeaders(t *testing.T) {
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, "%x:\r\n", i)
	}
	report := reportOf("failed", "5.1.1", kim, kim)
	inside := strings.Replace(report, "X-A: b", "X-A: b\r\n"+many.String(), 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := parseReport([]byte(inside))
	if _, long := parseReport([]byte(many.String() + report)); r.means != Bounced || err != nil || long != errLongHeader {
		t.Errorf("%+v, %v, %v", r, err, long)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 12<<20 {
		t.Errorf("%d bytes were made of them", after.TotalAlloc-before.TotalAlloc)
	}
	for _, size := range []int{1000, maxHeader - 1000, maxHeader, maxHeader + 1, 2 * maxHeader} { // most of it one value
		first, rest, _ := strings.Cut(report, "\r\n\r\n")
		fill := size - len(first+"\r\nX-A:\r\n\r\n")
		folded := strings.Repeat("\r\n "+strings.Repeat("b", 70), fill/73) + strings.Repeat("b", fill%73)
		header := first + "\r\nX-A:" + folded + "\r\n\r\n"
		r, err := parseReport([]byte(header + rest))
		if isLong := len(header) > maxHeader; isLong != (err == errLongHeader) || isLong == (r.means == Bounced) {
			t.Errorf("a header of %d bytes: %+v, %v", len(header), r, err)
		}
		if _, err := parseReport([]byte(header)); (len(header) > maxHeader) != (err == errLongHeader) {
			t.Errorf("no more than a header of %d bytes: %v", len(header), err)
		}
	}
	s := newSite(t)
	if code := sendTo(t, s, "abuse@bounces.example.com", many.String()+report); code != 552 ||
		s.Counts()[Count{Mail, Refused}] != 1 {
		t.Errorf("the mail server is told %d, %v", code, s.Counts())
	}
}

// sendTo has a mail server send a message, and returns the code of a refusal.
func sendTo(t *testing.T, s *site, to, text string) (code int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.NewServer()
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	defer func() { _ = server.Close(); <-done }()
	err = smtp.SendMail(listener.Addr().String(), nil, "", []string{to}, []byte(text))
	if refused, ok := errors.AsType[*textproto.Error](err); ok {
		return refused.Code
	}
	if err != nil {
		t.Error(err)
	}
	return 0
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(reportOf("failed", "5.1.1", kim, kim)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := parseReport(text); err == nil && cleanCode(r.status) != r.status {
			t.Errorf("%+v", r)
		}
	})
}
