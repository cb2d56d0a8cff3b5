package smtp

import (
	"errors"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// stage is how far the handing over of a message has come.
type stage string

const (
	stageConnect  stage = "connecting"
	stageTLS      stage = "encrypting"
	stageGreeting stage = "greeting"
	stageAuth     stage = "authenticating"
	stageReset    stage = "beginning anew"
	stageMail     stage = "naming the sender"
	stageRcpt     stage = "naming the recipient"
	stageData     stage = "announcing the message"
	stageContent  stage = "sending the message"
	stageEnd      stage = "waiting for the acceptance"
)

// failure is why a message was not accepted.
type failure struct {
	stage stage
	err   error // a *textproto.Error if the server has answered
}

// reply is the code of a server's answer, and its enhanced status code (RFC
// 3463) where it has one; 0 and nothing if the error is no answer.
func reply(err error) (code int, enhanced string) {
	answer, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return 0, ""
	}
	if first, _, _ := strings.Cut(answer.Msg, " "); enhancedCode.MatchString(first) {
		enhanced = first
	}
	return answer.Code, enhanced
}

// enhancedCode is class.subject.detail.
var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}$`)

// keepsConnection reports whether another message can be sent over the
// connection: the server has answered, in its turn, and has not hung up.
func (f *failure) keepsConnection() bool {
	code, _ := reply(f.err)
	return f.err == errNotInternational || code >= 400 && code != 421
}

// response is what the failure means for the message.
func (f *failure) response() provider.Response {
	code, enhanced := reply(f.err)
	r := provider.Response{Verdict: f.verdict(code), Detail: f.detail(code, enhanced)}
	if f.stage == stageRcpt && r.Verdict == provider.Rejected && refusesAddress(code, enhanced) ||
		f.err == errNotInternational {
		r.Verdict, r.Reason = provider.Skipped, topology.ReasonInvalidAddress
	}
	return r
}

// verdict judges by stage and by the first digit of the answer. Before the
// transaction, whatever is wrong is the server's or the configuration's, and
// not the message's. At its end, only an answer tells what became of it.
func (f *failure) verdict(code int) provider.Verdict {
	before := []stage{stageConnect, stageTLS, stageGreeting, stageAuth, stageReset}
	class := code / 100
	switch {
	case f.stage == stageEnd && class != 4 && class != 5:
		return provider.Unknown
	case code == 0, slices.Contains(before, f.stage):
		return provider.Down
	case class == 5:
		return provider.Rejected
	}
	return provider.Failed
}

// refusesAddress reports whether a refusal of RCPT is about the recipient's
// address, rather than about policy, the mailbox or the sender. The enhanced
// code says so where there is one.
func refusesAddress(code int, enhanced string) bool {
	switch {
	case enhanced == "5.1.7", enhanced == "5.1.8": // the sender's address
		return false
	case strings.HasPrefix(enhanced, "5.1."):
		return true
	case enhanced != "":
		return code == 501 && strings.HasPrefix(enhanced, "5.5.") // its syntax
	}
	return code == 501 || code == 553 || code == 556
}

// detail names the stage and the codes. The server's text is left out: it
// often has the address.
func (f *failure) detail(code int, enhanced string) string {
	switch f.err {
	case errNoTLSOffered, errNoMechanism, errOpenConnection, errNotInternational:
		return f.err.Error() // which has nothing of the message
	}
	if code == 0 {
		return "no answer from the mail server while " + string(f.stage)
	}
	detail := "the mail server answered " + strconv.Itoa(code)
	if enhanced != "" {
		detail += " " + enhanced
	}
	return detail + " while " + string(f.stage)
}
