package smtp

import (
	"slices"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
)

// envelope is what is said to the server before a message.
type envelope struct {
	from, to string
	utf8     bool // it has letters outside ASCII, which takes SMTPUTF8
}

// envelope makes it for this server. Where the server takes ASCII only, the
// recipient's domain is written as DNS does; a local part cannot be.
func (c *session) envelope(from, to string) (envelope, *failure) {
	e := envelope{from: from, to: to, utf8: !address.IsASCII(from) || !address.IsASCII(to)}
	if offered, _ := c.client.Extension("SMTPUTF8"); !e.utf8 || offered {
		return e, nil
	}
	e.from, e.to, e.utf8 = address.ASCIIDomain(from), address.ASCIIDomain(to), false
	if !address.IsASCII(e.from) || !address.IsASCII(e.to) {
		return e, &failure{stage: stageRcpt, err: errNotInternational}
	}
	return e, nil
}

// step is a command and the answer that it should have.
type step struct {
	stage    stage
	command  string
	expected int // code, or the beginning of one
}

// open opens a transaction, up to where the server waits for the message.
func (c *session) open(e envelope) *failure {
	steps := make([]step, 0, 4)
	if c.used {
		steps = append(steps, step{stageReset, "RSET\r\n", 250})
	}
	mail := "MAIL FROM:<" + e.from + ">"
	if offered, _ := c.client.Extension("8BITMIME"); offered {
		mail += " BODY=8BITMIME"
	}
	if e.utf8 {
		mail += " SMTPUTF8"
	}
	steps = append(steps,
		step{stageMail, mail + "\r\n", 250},
		step{stageRcpt, "RCPT TO:<" + e.to + ">\r\n", 25},
		step{stageData, "DATA\r\n", 354},
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

// say says all in one go (RFC 2920), and reads every answer. The failure is the
// first.
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
		_, _, err := text.ReadResponse(s.expected)
		if err == nil {
			waits = s.stage == stageData
			continue
		}
		if failed == nil {
			failed = &failure{stage: s.stage, err: err}
		}
		if code, _, answered := reply(err); !answered || code == 421 {
			c.broken = true
			return failed
		}
	}
	switch {
	case failed == nil || !waits:
	case failed.stage == stageRcpt:
		c.sendNothing()
	default:
		// A dot might end an empty message to whom the server takes for a
		// recipient.
		c.broken = true
	}
	return failed
}

// sendNothing ends a message that the server waits for although it has refused
// the recipient. It goes to nobody.
func (c *session) sendNothing() {
	text := c.client.Text
	_, _ = text.W.WriteString(".\r\n") // Flush has its error too
	err := text.W.Flush()
	if err == nil {
		_, _, err = text.ReadResponse(0)
	}
	c.broken = c.broken || err != nil
}
