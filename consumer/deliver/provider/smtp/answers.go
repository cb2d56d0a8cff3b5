package smtp

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// Rule says what a server's refusal means that fits all the rule's patterns.
type Rule struct {
	// At is where it is said: one of Places; empty for anywhere.
	At string
	// Code and Enhanced are patterns of the whole codes, in which x is any number: "55x", "5.1.x"; empty for any.
	Code, Enhanced string
	// Text is a pattern of something in the text, small letters meaning capitals too; empty for any.
	Text    string
	Verdict provider.Verdict
	// Reason of Skipped: ReasonInvalidAddress (the default) or ReasonSuppressed.
	Reason topology.Reason
	// RetryAfter is how long to wait, with Failed and Down.
	RetryAfter time.Duration

	andText                   string         // besides Text
	code, enhanced, text, and *regexp.Regexp // nil for any
	whose                     whose          // a failure is, where no code tells
}

// whose is what a failure tells of: one message or its recipient, or the server and all messages.
type whose int

const (
	notSaid whose = iota
	itsOwn
	ofAll
)

// Places are where a Rule may hold: before a message is begun, when its sender or its recipient is named, or when it
// is handed over itself.
func Places() []string { return []string{atConnection, atSender, atRecipient, atMessage} }

const (
	atConnection = "connection"
	atSender     = "sender"
	atRecipient  = "recipient"
	atMessage    = "message"
)

func (s stage) place() string {
	switch s {
	case stageMail:
		return atSender
	case stageRcpt:
		return atRecipient
	case stageData, stageContent, stageEnd:
		return atMessage
	}
	return atConnection
}

// read checks a rule, and compiles its patterns.
func (r *Rule) read() (err error) {
	for _, p := range []struct {
		into                    **regexp.Regexp
		pattern, number, around string
	}{
		{&r.code, r.Code, `\d`, `^(?:%s)$`}, {&r.enhanced, r.Enhanced, `\d+`, `^(?:%s)$`}, {&r.text, r.Text, "x", `(?is)%s`},
		{&r.and, r.andText, "x", `(?is)%s`},
	} {
		if p.pattern == "" {
			continue
		}
		pattern := fmt.Sprintf(p.around, strings.ReplaceAll(p.pattern, "x", p.number))
		if *p.into, err = regexp.Compile(pattern); err != nil {
			return fmt.Errorf("the pattern %q: %w", p.pattern, err)
		}
	}
	if r.Verdict == provider.Skipped {
		r.Reason = cmp.Or(r.Reason, topology.ReasonInvalidAddress)
	}
	switch {
	case r.Code == "" && r.Enhanced == "" && r.Text == "":
		return errors.New("it would fit every refusal: give it a code, an enhanced code or a text")
	case r.Verdict == provider.Expired || r.Verdict == provider.Throttled:
		return errors.New("answers do not have that verdict")
	case r.Verdict == provider.Accepted && r.At != atMessage:
		return errors.New("before the message is there it cannot be accepted: say at: message")
	case r.Verdict != provider.Skipped && r.Reason != topology.NoReason:
		return errors.New("only skipped has a reason")
	case r.RetryAfter > 0 && r.Verdict != provider.Failed && r.Verdict != provider.Down:
		return errors.New("only failed and down are tried again")
	}
	return nil
}

func (r *Rule) fits(place, code, enhanced, text string) bool {
	fit := func(p *regexp.Regexp, s string) bool { return p == nil || p.MatchString(s) }
	return (r.At == "" || strings.Contains(r.At, place)) && fit(r.code, code) && fit(r.enhanced, enhanced) &&
		fit(r.text, text) && fit(r.and, text)
}

// judge is what a refusal means: by the rules of the configuration, by the shipped ones, or else by its class.
func judge(rules []Rule, at stage, code, enhanced, text string) provider.Response {
	place := at.place()
	for n, some := range [][]Rule{rules, shipped} {
		later := enhancedIn("4", text)
		if n > 0 && enhanced == "" && later != "" && strings.HasPrefix(code, "55") && strings.Index(text, later) <= 1 &&
			(later != "4.1.1" || !nobody.MatchString(text)) {
			code, enhanced = "450", later // 550 4.7.1: what says more counts
		}
		for i := range some {
			if r := &some[i]; r.fits(place, code, enhanced, text) {
				return provider.Response{Verdict: r.Verdict, Reason: r.Reason, RetryAfter: r.RetryAfter,
					OfMessage: r.Verdict == provider.Failed && r.whose.isOwn(at, code, enhanced)}
			}
		}
		if place == atConnection { // whatever is wrong, it is not the message
			return provider.Response{Verdict: provider.Down}
		}
	}
	switch {
	case code[0] == '5':
		return provider.Response{Verdict: provider.Rejected}
	case code[0] == '4' || at != stageEnd:
		return provider.Response{Verdict: provider.Failed, OfMessage: notSaid.isOwn(at, code, enhanced)}
	}
	return provider.Response{Verdict: provider.Unknown}
}

// isOwn reports whether a failure may be one message's, or its recipient's, alone: by its subject (RFC 3463), by what
// it says, or else where it is said.
func (w whose) isOwn(at stage, code, enhanced string) bool {
	_, subject, _ := strings.Cut(enhanced, ".")
	subject, _, _ = strings.Cut(subject, ".")
	switch {
	case subject == "1", subject == "2": // the address, the mailbox
		return true
	case w != notSaid:
		return w == itsOwn
	case subject == "3", code == codeClosing: // the server's system, its connection
		return false
	}
	return at == stageRcpt || subject == "6" // the content
}

// What the texts of refusals say, whatever the codes beside them.
const (
	saysGreylisted = `gr[ae]y-? ?list`
	saysTooLarge   = `(message|mail|size).{0,20} too (large|big)|size.{0,10} exceed|exceed\w*.{0,30} size` +
		`|(message|maximum) size`
	saysLoop = `\bhops?\b|hop count|mail loop|looping`
	saysFull = `(mail)?box.{0,20} full|over ?quota|(box|user|recipient).{0,30} over .{0,10}quota` +
		`|(user|mailbox|recipient|disk)\S*( \S+)? quota|quota.{0,20} for (this )?(user|mailbox)`
	saysAccount = `account\S*( \S+)? quota|^\W*quota exceeded\W*$` // theirs in a 5xx, and else the sender's
	saysNoRoom  = `out of storage|insufficient (system )?storage`  // here, or with the recipient
	saysSending = `(sending|submission|out(going|bound)|relay) (rate|quota|limit)|quota for (sending|submission|out)`
	// The last three lines are in German, French, Spanish, Italian, Swedish and Polish, and any encoding.
	saysLimit = `too (many|much (e-?)?mail|fast|quickly|often)|at a rate that|throttl|quotaexceeded` +
		`|(rate|sending|message|credit|send|submission).?(limit|quota)|rate.{0,10} (too (high|fast)|overlimit)` +
		`|(limit|quota|threshold|credits|\brate)\S*.{0,40} (exceed|reach|hit|over\b|used up)` +
		`|(exceed|reach|over|above)\w*.{0,50} (limit|quota|threshold|rate|max|allowance)` +
		`|(unusual|high|excessive)( e?mail)? (rate|sending|activity|volume)|out of credit|insufficient (credit|balance)` +
		`|(messages|e?mails|recipients) (per|an?|every) (second|minute|hour|day)` +
		`|zu viele|trop de|demasiad|tropp[ie]|f.{1,2}r m.{1,2}nga|zbyt wiele` +
		`|(l.{1,2}mit|quota|cuota|kvot|kontingent).{0,40}` +
		`(berschr|erreicht|d\S{1,2}pass|atteint|super|exced|alcanz|raggiun|verskr|przekr)` +
		`|(berschr|d\S{1,2}pass|super|exced|alcanz|raggiun|verskr|przekr)\S*.{0,40}(l.{1,2}mit|quota|cuota|kvot|kontingent)`
	saysDay = `\b(to)?day\b|\bdaily\b|24.?h|\btages|t.{1,2}glich|quotidien|par jour|diari|giornal|dagl|dzienn`
	saysUs  = `relay(ing)? (access )?(is )?(denied|not|prohibited)|(unable to|not|n.t|refuse\w* to) relay` +
		`|for relay\b|\b(helo|ehlo)\b|smtp auth\b|rcpthosts|client host|blocked using|block ?list|black ?list|spamhaus` +
		`|banned sending|connections will not be|messages from \S+ weren.t|sender ip must|name lookup failed` +
		`|\b(ip|sender|server|host)\W+reputation|reputation of (the|your) s|spoofing|dynamic ip` +
		`|\bip ?check|\b(dns|r)bl\b|not allowed to connect` +
		`|\bip\b.{0,20} is (i|o)n\b` +
		`|ptr record|reverse (dns|hostname)|(from|your) (ip|server|host)\b.{0,40} (block|denied|not allowed)`
	saysSender = `sender.{0,60} (reject|denied|refused|invalid|unknown|unverified|fail|not|does|bad)` +
		`|(mail from|from address|sender address|send(ing)? as|sendasdenied|sender identity|sending domain)`
	saysLogIn = `(un)?authenticat|authori[sz]ed to (send|perform|use)|log ?in (first|required)|must issue|starttls` +
		`|permissions? to send|(e-?mail address|domain|identity) (is )?(not |un)verified` +
		`|\b(spf|dkim|dmarc)\b|your account`
	saysOurs = `not (allowed|permitted) to send|sending (is |was |has been )?(paused|suspended|disabled)` +
		`|configuration set|your (account|domain|plan|subscription|trial) (is |was |has )?(been )?(not |un|in)?` +
		`(active|verified|locked|blocked|disabled|deactivated|suspended|closed|expired)`
	saysNotTheirs  = `resolver\.rst|permissions? to send (mail |messages )?to\b` // a recipient takes mail of some only
	saysSuppressed = `suppress(ed|ion)|previously (bounced|unsubscribed|complained)|(do.not.(mail|send|contact)) list`
	saysNobody     = `no (such|known|valid)( local)? (user|recipient|mailbox|account|address|person|domain|e-?mail|name)\b` +
		`|unknown( local)? (user|recipient|mailbox|address|account|domain|local.part|host)|un(routeable|routable|deliverable)` +
		`|(user|recipient|mailbox|box|account|address(ee)?|domain|e-?mail|customer)(\S* \S*){0,3}? ?(is |was |has )?` +
		`(unknown|not (found|known|exist|valid|active|local|here)|does.{0,4}not? exist|doesn.t (exist|have)|no longer` +
		`|inactive|disabled|invalid|deactivated)|recipientnotfound|invalid (recipient|mailbox|user|e-?mail|address)` +
		`|not a valid (recipient|mailbox|user|e-?mail|address)|(doesn.t|does not|don.t) have an? \S+ (account|mailbox)` +
		`|no (mailbox|account|user record)|bad (destination|recipient)|not our customer|moved without|null mx`
	saysGone = `(user|recipient|(mail)?box|account)(\S* \S*){0,3}? ?(suspended|closed|terminated|cancell?ed|locked` +
		`|not available)|no ?one (here )?by that name|(recipient|callout) verif\S* fail`
	saysSpam    = `\b(spam|virus|malware|phishing|unsolicited)`
	saysAddress = `address(es)? (was |is )?(reject|refused|denied)|recipients?( address\S*)? (was |is )?(reject|refused)` +
		`|(mail)?box.{0,20} (unavailable|not available)|not accepting (mail|messages)`
)

// shipped are what the big receivers and relays say. The first that fits counts, so what is surer stands before what
// is said of several things. What is skipped has no such recipient, where nothing else is said.
var shipped = func() []Rule {
	const (
		day, while, greylisting = time.Hour, 10 * time.Minute, 5 * time.Minute
		leftAlone               = topology.ReasonSuppressed
		// RFC 3463, 4954 and 7372, and what Exchange and Gmail have added.
		setUp = `5.7.(3|8|9|1[0-4]|2[0-79]|29|3[02]|54|57|60|64|139|50[12369]|51[15]|6\d\d|7\d\d)|5.2.252|5.1.[78]`
	)
	table := []Rule{
		{Text: saysGreylisted, Verdict: provider.Failed, RetryAfter: greylisting, whose: itsOwn},
		{Text: saysLimit, andText: saysDay, Verdict: provider.Failed, RetryAfter: day, whose: ofAll},
		{Code: "5xx", Text: saysTooLarge + "|" + saysLoop, Verdict: provider.Rejected},
		{Text: saysSending, Verdict: provider.Failed, RetryAfter: while, whose: ofAll},
		{Code: "5xx", Enhanced: "5.3.4|5.2.[23]", Verdict: provider.Rejected},
		{Code: "5xx", At: atRecipient + atMessage, Text: saysFull + "|" + saysAccount, Verdict: provider.Rejected},
		{Code: "5xx", Text: saysNoRoom, Verdict: provider.Rejected},
		{At: atRecipient + atMessage, Text: saysFull, Verdict: provider.Failed, whose: itsOwn},

		{Enhanced: "5.4.5|5.1.90|5.7.(28|508|705|23[236])", Verdict: provider.Failed, RetryAfter: day, whose: ofAll},
		{Text: saysLimit, Verdict: provider.Failed, RetryAfter: while, whose: ofAll},

		{Code: "5xx", Enhanced: "5.7.(1[23][0-6]|513)", Verdict: provider.Rejected},
		{Enhanced: "5.7.703", Verdict: provider.Skipped, Reason: leftAlone}, // the organisation's own list
		{Code: "5xx", Text: saysNotTheirs, Verdict: provider.Rejected},
		{Code: "504", Text: "recipient", Verdict: provider.Skipped},
		{Code: "454|50[234]|52[15]|53[0458]", Verdict: provider.Down},
		{At: atRecipient, Code: "500", Verdict: provider.Down},
		{Enhanced: setUp, Verdict: provider.Down},
		{Text: saysUs + "|" + saysSender + "|" + saysOurs, Verdict: provider.Down},
		{At: atSender, Code: "5xx", Verdict: provider.Down},

		{Code: "5xx", Text: saysSuppressed, Verdict: provider.Skipped, Reason: leftAlone},
		{Code: "5xx", Enhanced: "5.1.([1-6]|9|10)|5.2.1|5.6.7|5.4.(4|310|312)|5.7.50[45]", Verdict: provider.Skipped},
		{Code: "5xx", Text: saysNobody, Verdict: provider.Skipped},
		{Text: saysLogIn, Verdict: provider.Down},
		{At: atRecipient, Code: "5xx", Text: saysGone, Verdict: provider.Skipped},
		{Text: `account.{0,20}(suspended|paused|under review)`, Verdict: provider.Down},
		{Code: "5xx", Enhanced: "5.7.x", Verdict: provider.Rejected},
		{Code: "5xx", Enhanced: "5.1.x", Verdict: provider.Skipped},
		{Code: "5xx", Text: saysSpam, Verdict: provider.Rejected},
		{Code: "5xx", Enhanced: "|5.[0-5].x", Text: saysAddress, Verdict: provider.Skipped},
		{At: atRecipient, Code: "501|553|556", Enhanced: "|5.5.x", Verdict: provider.Skipped},
	}
	for i := range table {
		if err := table[i].read(); err != nil {
			panic(err)
		}
	}
	return table
}()

var nobody = regexp.MustCompile(`(?is)` + saysNobody)

// enhancedCode is class.subject.detail (RFC 3463), wherever a text has it.
var enhancedCode = regexp.MustCompile(`(?:^|[\s#(\[<:-])([245]\.\d{1,3}\.\d{1,3})(?:$|[\s),;:\]>-])`)

// enhancedIn is the enhanced code in a text that is of a code's class; empty if there is none.
func enhancedIn(code, text string) string {
	for _, found := range enhancedCode.FindAllStringSubmatch(text, -1) {
		if found[1][0] == code[0] {
			return found[1]
		}
	}
	return ""
}

// commonWords are those of a server's text that can be shown: whatever it quotes of addresses and messages besides is
// not among them.
var commonWords = func() map[string]bool {
	words := make(map[string]bool)
	for _, w := range strings.Fields(`a about accept accepted accepting access account action active activity address
		addressee after again all allowed an and any are as at authenticated authentication authorized bad banned be
		because been before blacklist blacklisted blocked by can cannot check client closed closing command configured
		connection connections contact content count credentials customer daily day deactivated delivered delivery denied
		destination detected disabled dkim dmarc dns does doesn't domain down email error exceed exceeded exceeds exist
		expired failed failure first for found from full fully-qualified greylisted greylisting has have helo host hostname
		hour hours identity in inactive inbox invalid ip is issue it later likely limit local log login longer looks mail
		mailbox maximum message messages minute minutes moved must name need no not now of on or our out over password
		path pause per permission permitted please policy possible prohibited protocol ptr quota rate reached receiving
		recipient recipients record refused reject rejected relay relaying reputation required requires rcpt resources
		routing score seconds security send sender sending sent server service session size slow spam spf starttls storage
		submission such suppressed suspected suspended suspicious syntax system table temporarily temporary that the there
		this throttling time timeout tls to too transaction try unable unauthenticated unavailable unknown unroutable
		unrouteable unsolicited user users valid verification verified verify via virtual virus was we with yet you your`) {
		words[w] = true
	}
	return words
}()

const mostShown = 120 // bytes of a server's text

// shown is what of a server's text has nothing of a recipient or a message: its common words.
func shown(text string) string {
	var said []string
	length := 0
	for word := range strings.FieldsSeq(text) {
		bare := strings.ToLower(strings.Trim(word, ".,;:!?()"))
		if !commonWords[bare] {
			bare = "…"
		}
		if n := len(said); bare == "…" && (n == 0 || said[n-1] == bare) {
			continue
		}
		if length += len(bare) + 1; length > mostShown {
			break
		}
		said = append(said, bare)
	}
	return strings.TrimSuffix(strings.Join(said, " "), " …")
}
