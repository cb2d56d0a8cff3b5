package template

import (
	"strings"

	"github.com/meddela/meddela/topology"
)

// The parts of a body, by the names that they have in a template record.
const (
	EmailSubject = "email.subject"
	EmailText    = "email.txt"
	EmailHTML    = "email.html"
	// EmailUnsubscribe has a line with an https URL, or one with an address, or
	// both.
	EmailUnsubscribe = "email.unsubscribe"
	// EmailAttachments has a line for each file: its URL, a blank, its name.
	EmailAttachments = "email.attachments"
	SMSText          = "sms.txt"
	PushJSON         = "push.json"
	WebhookJSON      = "webhook.json"
)

// Parts lists the parts that a body on the channel may have; none for an
// unknown channel.
func Parts(c topology.Channel) []string {
	switch c {
	case topology.Email:
		return []string{EmailSubject, EmailText, EmailHTML, EmailUnsubscribe, EmailAttachments}
	case topology.SMS:
		return []string{SMSText}
	case topology.Push:
		return []string{PushJSON}
	case topology.Webhook:
		return []string{WebhookJSON}
	}
	return nil
}

// syntax is what a part's output is, and therefore how values are escaped.
type syntax int

const (
	plain syntax = iota
	html
	jsonText
)

func syntaxOf(part string) syntax {
	switch {
	case strings.HasSuffix(part, ".html"):
		return html
	case strings.HasSuffix(part, ".json"):
		return jsonText
	}
	return plain
}

// incomplete says what a body lacks; empty when it is whole.
func incomplete(c topology.Channel, body map[string]string) string {
	has := func(part string) bool { _, ok := body[part]; return ok }
	if c == topology.Email {
		switch {
		case !has(EmailSubject):
			return "there is no " + EmailSubject + ": add it"
		case !has(EmailText) && !has(EmailHTML):
			return "there is neither " + EmailText + " nor " + EmailHTML + ": add one or both"
		}
		return ""
	}
	for _, part := range Parts(c) {
		if !has(part) {
			return "there is no " + part + ": add it"
		}
	}
	return ""
}
