package webapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/egress"
	"github.com/meddela/meddela/topology"
)

// Rule says what an answer means.
type Rule struct {
	// Status is 429, 4xx or 200-299. Empty is any.
	Status string
	// JSON is the path of a value in the answer that must Equal a text; empty
	// for no such condition.
	JSON, Equals string
	// Verdict is what it means: Accepted, Skipped, Refused, Failed or Down.
	Verdict deliver.Verdict
	// Reason of Skipped: ReasonInvalidAddress or ReasonSuppressed.
	Reason topology.Reason

	least, most int
}

func (r *Rule) check() error {
	var ok bool
	if r.least, r.most, ok = statusRange(r.Status); !ok {
		return fmt.Errorf("status %q: use a status such as 429, 4xx, or a range such as 500-599", r.Status)
	}
	if r.Status == "" && r.JSON == "" {
		return errors.New("it says neither a status nor a json value, so it would be every answer")
	}
	switch r.Verdict {
	case deliver.Accepted, deliver.Refused, deliver.Failed, deliver.Down:
		return nil
	case deliver.Skipped:
		if r.Reason == topology.ReasonInvalidAddress || r.Reason == topology.ReasonSuppressed {
			return nil
		}
		return errors.New("the reason of what is skipped must be invalid_address or suppressed")
	}
	return errors.New("the verdict must be accepted, skipped, refused, failed or down")
}

func statusRange(text string) (least, most int, ok bool) {
	if text == "" {
		return 0, 999, true
	}
	if digit, found := strings.CutSuffix(text, "xx"); found {
		n, err := strconv.Atoi(digit)
		return n * 100, n*100 + 99, err == nil && 1 <= n && n <= 5
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	least, err := strconv.Atoi(first)
	most, err2 := strconv.Atoi(last)
	return least, most, err == nil && err2 == nil && 100 <= least && least <= most && most <= 599
}

func (r *Rule) matches(a *egress.Answer) bool {
	if a.Status < r.least || a.Status > r.most {
		return false
	}
	return r.JSON == "" || gjson.GetBytes(a.Body, r.JSON).String() == r.Equals
}

// meaning is what an answer says of the message.
func (c *Config) meaning(a *egress.Answer, now time.Time) deliver.Response {
	response := deliver.Response{Verdict: usual(a.Status), Detail: "the provider answered " + strconv.Itoa(a.Status)}
	for i := range c.Rules {
		if rule := &c.Rules[i]; rule.matches(a) {
			response.Verdict, response.Reason = rule.Verdict, rule.Reason
			if rule.JSON != "" {
				response.Detail += " with " + rule.JSON + " = " + rule.Equals
			}
			break
		}
	}
	switch response.Verdict {
	case deliver.Accepted:
		response.Detail = ""
		if c.MessageID != "" {
			response.MessageID = gjson.GetBytes(a.Body, c.MessageID).String()
		}
	case deliver.Failed, deliver.Down:
		response.RetryAfter = retryAfter(a.Header.Get("Retry-After"), now)
	}
	return response
}

// usual is what a status means where no rule says otherwise. Not being let in is
// the configuration's fault, and not the message's.
func usual(status int) deliver.Verdict {
	switch {
	case status/100 == 2:
		return deliver.Accepted
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return deliver.Down
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status/100 == 5:
		return deliver.Failed
	}
	return deliver.Refused
}

// mostPatience bounds what a provider may ask for.
const mostPatience = time.Hour

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(mostPatience/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), mostPatience)
}

// progress is how far a request has come.
type progress struct{ connected atomic.Bool }

func (p *progress) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})
}

// begun tells whether some of the request may have reached the provider.
func (p *progress) begun() bool { return p.connected.Load() }

// unanswered is what it means that there is no answer. Once the request was
// begun the provider may have accepted it.
func (p *Provider) unanswered(err error, begun bool) deliver.Response {
	if !begun {
		return deliver.Response{Verdict: deliver.Down, Detail: whyNotReached(err)}
	}
	detail := "the connection broke before the provider answered"
	if timedOut(err) {
		detail = "the provider did not answer in time"
	}
	if p.config.Idempotent {
		return deliver.Response{Verdict: deliver.Failed, Detail: detail}
	}
	return deliver.Response{Verdict: deliver.Unknown, Detail: detail}
}

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func whyNotReached(err error) string {
	var dns *net.DNSError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, egress.ErrPrivate):
		return "the provider's address is not public, and allow_private is not set"
	case errors.As(err, &dns):
		return "the provider's host name is not known"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the provider's host refuses connections"
	case errors.As(err, &verification):
		return "the provider's certificate is not trusted"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the provider does not speak TLS on this port"
	case timedOut(err):
		return "the provider could not be connected to in time"
	}
	return "the provider could not be connected to"
}
