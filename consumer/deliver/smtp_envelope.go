package deliver

import "golang.org/x/net/idna"

// envelope is what is said to the server before a message.
type envelope struct {
	from, to string
	utf8     bool // it has letters outside ASCII, which takes SMTPUTF8
}

// envelope makes it for this server. Where the server takes ASCII only, the
// recipient's domain is written as DNS does; a local part cannot be.
func (c *smtpConn) envelope(from, to string) (envelope, *smtpFault) {
	e := envelope{from: from, to: to, utf8: !isASCII(from) || !isASCII(to)}
	if offered, _ := c.client.Extension("SMTPUTF8"); !e.utf8 || offered {
		return e, nil
	}
	e.from, e.to, e.utf8 = asciiDomain(from), asciiDomain(to), false
	if !isASCII(e.from) || !isASCII(e.to) {
		return e, &smtpFault{stage: stageRcpt, err: errNotInternational}
	}
	return e, nil
}

// asciiDomain is the address with its domain in ASCII, if it has such a form.
func asciiDomain(address string) string {
	local, domain, _ := cutLast(address, '@')
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return address
	}
	return local + "@" + ascii
}

// step is a command and the answer that it should have.
type step struct {
	stage    smtpStage
	command  string
	expected int // code, or the beginning of one
}

// open opens a transaction, up to where the server waits for the message.
func (c *smtpConn) open(e envelope) *smtpFault {
	steps := c.steps(e)
	if offered, _ := c.client.Extension("PIPELINING"); offered {
		return c.sayAtOnce(steps)
	}
	for _, s := range steps {
		if fault := c.sayAtOnce([]step{s}); fault != nil {
			return fault
		}
	}
	return nil
}

func (c *smtpConn) steps(e envelope) []step {
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
	return append(steps,
		step{stageMail, mail + "\r\n", 250},
		step{stageRcpt, "RCPT TO:<" + e.to + ">\r\n", 25},
		step{stageData, "DATA\r\n", 354},
	)
}

// sayAtOnce says all in one go (RFC 2920), and reads every answer. The fault is
// the first.
func (c *smtpConn) sayAtOnce(steps []step) *smtpFault {
	text := c.client.Text
	for _, s := range steps {
		if _, err := text.W.WriteString(s.command); err != nil {
			return &smtpFault{stage: steps[0].stage, err: err}
		}
	}
	if err := text.W.Flush(); err != nil {
		return &smtpFault{stage: steps[0].stage, err: err}
	}
	var fault *smtpFault
	var last error
	for _, s := range steps {
		if _, _, last = text.ReadResponse(s.expected); last == nil {
			continue
		}
		if fault == nil {
			fault = &smtpFault{stage: s.stage, err: last}
		}
		if _, _, answered := reply(last); !answered {
			return fault
		}
	}
	if fault != nil && last == nil && steps[len(steps)-1].stage == stageData {
		c.sendNothing()
	}
	return fault
}

// sendNothing ends a message that the server waits for although it has refused
// its sender or recipient. It goes to nobody.
func (c *smtpConn) sendNothing() {
	if _, err := c.client.Text.W.WriteString(".\r\n"); err != nil {
		return
	}
	if c.client.Text.W.Flush() == nil {
		_, _, _ = c.client.Text.ReadResponse(0)
	}
}
