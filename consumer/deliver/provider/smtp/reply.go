package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/meddela/meddela/consumer/deliver/provider"
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

	late <-chan *failure // the answer that comes over conn, which the server still owes; nil if it does not
	conn *session
}

// readReply reads what a server answers: a *textproto.Error, where that is not of an expected code. A line without a
// hyphen ends it, and its code counts whatever was said before, but for a refusal.
func readReply(r *textproto.Reader, expected string) error {
	var text []string
	code, refused := 0, 0
	for more := true; more; {
		line, err := r.ReadLine()
		if err != nil {
			return err
		}
		this, err := strconv.Atoi(line[:min(len(line), 3)])
		switch {
		case err == nil && this >= 200 && this < 600 && (len(line) == 3 || line[3] == ' ' || line[3] == '-'):
			more = strings.HasPrefix(line[3:], "-")
			line = line[min(len(line), 4):]
			if code = this; code >= 400 {
				refused = code
			}
		case code == 0:
			return textproto.ProtocolError("the answer has no code")
		}
		text = append(text, line)
	}
	if code < 400 && refused > 0 {
		code = refused
	}
	if !strings.HasPrefix(strconv.Itoa(code), expected) {
		return &textproto.Error{Code: code, Msg: strings.Join(text, "\n")}
	}
	return nil
}

// mostRead is how many bytes of an answer count.
const mostRead = 1 << 10

// answered is the code of a server's answer, its enhanced status code where it has one, and its text; all empty if the
// error is no answer.
func (f *failure) answered() (code, enhanced, text string) {
	answer, ok := errors.AsType[*textproto.Error](f.err)
	if !ok {
		return "", "", ""
	}
	code = strconv.Itoa(answer.Code)
	text = answer.Msg[:min(len(answer.Msg), mostRead)]
	return code, enhancedIn(code, text), text
}

// keepsConnection reports whether another message can be sent over the
// connection: the server has answered, in its turn, and has not hung up.
func (f *failure) keepsConnection() bool {
	code, _, _ := f.answered()
	return f.unsaid() != nil || code >= "400" && code != codeClosing
}

func (f *failure) unsaid() *unsaid {
	u, _ := errors.AsType[*unsaid](f.err)
	return u
}

// codeClosing is that of a server that ends the connection.
const codeClosing = "421"

// ofSession is what servers say that take so many messages of a connection, and no more.
var ofSession = regexp.MustCompile(`(?i)(per|this|one|a|same) (smtp )?(session|connection)|connection message limit`)

// endsSession reports whether the server takes no other message over the connection, and may over a new one.
func (f *failure) endsSession() bool {
	code, _, text := f.answered()
	switch f.stage {
	case stageReset:
		return true
	case stageMail, stageRcpt, stageData, stageContent:
		return code == "" && f.unsaid() == nil || code == codeClosing || ofSession.MatchString(text)
	}
	return false
}

// response is what the failure means for the message.
func (f *failure) response(rules []Rule) provider.Response {
	code, enhanced, text := f.answered()
	switch {
	case code != "":
		r := judge(rules, f.stage, code, enhanced, text)
		r.Detail = "the mail server answered " + strings.TrimSpace(code+" "+enhanced) + " while " + string(f.stage)
		if said := shown(strings.ReplaceAll(text, enhanced, "")); said != "" {
			r.Detail += ": " + said
		}
		return r
	case f.unsaid() != nil:
		u := f.unsaid()
		return provider.Response{Verdict: u.verdict, Reason: u.reason, Detail: u.text}
	case f.late != nil:
		return provider.Response{
			Verdict: provider.Unknown, Detail: "the mail server has the message, and has not answered for it yet",
		}
	case f.stage == stageEnd:
		return provider.Response{Verdict: provider.Unknown, Detail: f.unanswered()}
	}
	return provider.Response{Verdict: provider.Down, Detail: f.unanswered()}
}

// unanswered says why there is no answer, without anything of the message.
func (f *failure) unanswered() string {
	const certificate = "the mail server's certificate "
	if unnamed, ok := errors.AsType[x509.HostnameError](f.err); ok {
		return certificate + "is not for the name " + unnamed.Host + ": say which one it has with server_name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](f.err); ok {
		return certificate + "is of an authority that is not trusted: say which ones are with ca_file"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](f.err); ok && invalid.Reason == x509.Expired {
		return certificate + "has expired, or does not hold yet"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](f.err); ok {
		return "the mail server does not encrypt from the first byte there: say tls: starttls, or another port"
	}
	what := "no answer from the mail server while " + string(f.stage)
	if _, ok := errors.AsType[*net.DNSError](f.err); ok {
		what += ": its name was not resolved"
	}
	return what
}
