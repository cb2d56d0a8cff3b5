package httpapi

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
)

// meaning is what an answer says of the message. The answer's own words are left
// out: they often have the address.
func (p *Provider) meaning(a *outbound.Answer, host string, m *template.Message) provider.Response {
	response := p.verdict(a)
	switch response.Verdict {
	case provider.Accepted:
		return provider.Response{Verdict: provider.Accepted, MessageID: clean(p.messageID.of(a), m)}
	case provider.Failed, provider.Down:
		response.RetryAfter = outbound.RetryAfter(a.Header, time.Now())
	}
	response.Detail = host + " answered " + strconv.Itoa(a.Status) + response.Detail
	return response
}

func (p *Provider) verdict(a *outbound.Answer) provider.Response {
	for i := range p.rules {
		r := &p.rules[i]
		switch r.fit(a) {
		case fits:
			return provider.Response{Verdict: r.verdict, Reason: r.reason, Detail: r.detail}
		case cannotTell:
			if a.Status/100 == 2 {
				return provider.Response{Verdict: provider.Unknown, Detail: ", and its body is too long, or broke off"}
			}
		}
	}
	return provider.Response{Verdict: usual(a.Status, p.config.Idempotent)}
}

const maxMessageID = 256

// clean is a message id as the delivery log may have it: without the address,
// which some providers put into it.
func clean(id string, m *template.Message) string {
	if len(id) > maxMessageID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || hasAddress(id, m.To) {
		return ""
	}
	return id
}

func hasAddress(id, to string) bool {
	if to == "" {
		return false
	}
	lower := strings.ToLower(id)
	if strings.Contains(lower, strings.ToLower(to)) {
		return true
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, to)
	isPhone := len(digits) >= 6 && !strings.ContainsFunc(to, unicode.IsLetter)
	return isPhone && strings.Contains(lower, digits)
}

// unanswered is what it means that there is no answer.
func (p *Provider) unanswered(err error) provider.Response {
	var fault *outbound.Fault
	if !errors.As(err, &fault) {
		return provider.Response{Verdict: provider.Unknown, Detail: "the request failed"}
	}
	return provider.Response{Verdict: p.verdictOf(fault.Kind), Detail: fault.Error()}
}

func (p *Provider) verdictOf(kind outbound.Kind) provider.Verdict {
	switch kind {
	case outbound.Blocked:
		if p.target == nil {
			return provider.Rejected // the template's fault, and not the provider's
		}
		return provider.Down
	case outbound.Unresolved, outbound.Unreachable, outbound.Insecure:
		return provider.Down
	case outbound.Late:
		return provider.Expired
	case outbound.Broken:
		return provider.Failed
	}
	return provider.Unknown
}
