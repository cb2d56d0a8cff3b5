package smtp

import (
	"cmp"
	"slices"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
)

// step is a command and the answer that it should have.
type step struct {
	stage    stage
	command  string
	expected string // code, or the beginning of one
}

// open opens a transaction, up to where the server waits for the message. Where the server takes ASCII only, the
// domains are written as DNS does; a local part cannot be.
func (c *session) open(from, to string) *failure {
	international := !address.IsASCII(from) || !address.IsASCII(to)
	if offered, _ := c.client.Extension("SMTPUTF8"); international && !offered {
		from, to, international = address.ASCIIDomain(from), address.ASCIIDomain(to), false
		if !address.IsASCII(from) {
			return &failure{stage: stageMail, err: errSender}
		}
		if !address.IsASCII(to) {
			return &failure{stage: stageRcpt, err: errNotInternational}
		}
	}
	steps := make([]step, 0, 4)
	if c.used {
		steps = append(steps, step{stageReset, "RSET\r\n", "250"})
	}
	c.used = true
	mail := "MAIL FROM:<" + from + ">"
	if offered, _ := c.client.Extension("8BITMIME"); offered {
		mail += " BODY=8BITMIME"
	}
	if international {
		mail += " SMTPUTF8"
	}
	steps = append(steps,
		step{stageMail, mail + "\r\n", "250"},
		step{stageRcpt, "RCPT TO:<" + to + ">\r\n", "25"},
		step{stageData, "DATA\r\n", "354"},
	)
	atOnce := 1
	if offered, _ := c.client.Extension("PIPELINING"); offered {
		atOnce = len(steps)
	}
	for some := range slices.Chunk(steps, atOnce) {
		if failed := c.say(some); failed != nil {
			return failed
		}
	}
	return nil
}

// say says all in one go (RFC 2920), and reads every answer. The failure is the first.
func (c *session) say(steps []step) (failed *failure) {
	text := c.client.Text
	for _, s := range steps {
		_, _ = text.W.WriteString(s.command) // Flush has its error too
	}
	if err := text.W.Flush(); err != nil {
		return &failure{stage: steps[0].stage, err: err}
	}
	waits := false // for the message, whatever was refused before
	for _, s := range steps {
		err := readReply(&text.Reader, s.expected)
		if err == nil {
			waits = s.stage == stageData
			continue
		}
		this := &failure{stage: s.stage, err: err}
		failed = cmp.Or(failed, this)
		if code, _, _ := this.answered(); code == "" || code == codeClosing {
			c.broken = true
			return failed
		}
	}
	switch {
	case failed == nil || !waits:
	case failed.stage == stageRcpt:
		c.sendNothing()
	default:
		// A dot might end an empty message to whom the server takes for a recipient.
		c.broken = true
	}
	return failed
}

// sendNothing ends a message that the server waits for although it has refused the recipient. It goes to nobody.
func (c *session) sendNothing() {
	text := c.client.Text
	_, _ = text.W.WriteString(".\r\n") // Flush has its error too
	err := text.W.Flush()
	if err == nil {
		err = readReply(&text.Reader, "")
	}
	c.broken = c.broken || err != nil
}
