package deliver

import (
	"bytes"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// messageID names a job's message: the same when it is sent again, so that
// whoever receives it twice can tell.
func (s *SMTP) messageID(job *topology.Job) string {
	return "<" + string(job.JobID) + "@" + s.domain + ">"
}

const headerAutoSubmitted mail.Header = "Auto-Submitted"

// compose writes the message in the form of RFC 5322. m.To is a plain address.
func (s *SMTP) compose(text *messageBuffer, id string, m *message.Message) error {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := s.from
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&netmail.Address{Address: m.To})
	if s.config.ReplyTo != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: s.config.ReplyTo})
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetGenHeader(mail.HeaderMessageID, id)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader(headerAutoSubmitted, "auto-generated")
	if m.Text != "" || m.HTML == "" {
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
	}
	switch {
	case m.HTML != "" && m.Text == "":
		msg.SetBodyString(mail.TypeTextHTML, m.HTML)
	case m.HTML != "":
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	_, err := msg.WriteTo(text)
	return err
}

// oneLine is text that cannot end a header.
func oneLine(text string) string {
	if !hasControl(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// messageBuffer is used again for another message, unless a huge one has made
// it huge.
type messageBuffer struct{ bytes.Buffer }

var messageBuffers = sync.Pool{New: func() any { return new(messageBuffer) }}

func (b *messageBuffer) release() {
	if b.Cap() <= 256<<10 {
		b.Reset()
		messageBuffers.Put(b)
	}
}
