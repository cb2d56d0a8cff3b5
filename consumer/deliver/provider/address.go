package provider

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/meddela/meddela/topology"
)

// AddressFault returns what is wrong with the address of a recipient on a
// channel: ReasonMissingAddress, ReasonInvalidAddress, or nothing. What it lets
// through has no control characters and no spaces around it, so that it can
// stand in a header or a command.
func AddressFault(channel topology.Channel, to string) topology.Reason {
	if channel == topology.Webhook {
		return topology.NoReason // the template names the target
	}
	if to == "" {
		return topology.ReasonMissingAddress
	}
	ok := false
	switch channel {
	case topology.Email:
		ok = ValidEmail(to)
	case topology.SMS:
		ok = validPhone(to)
	case topology.Push:
		ok = validToken(to)
	}
	if !ok {
		return topology.ReasonInvalidAddress
	}
	return topology.NoReason
}

const (
	maxLocalBytes  = 64
	maxDomainBytes = 253
	maxLabelBytes  = 63
)

// ValidEmail takes what mail servers take: local@domain of RFC 5321, where
// local is atoms with dots between them, and of both RFC 6531's letters
// outside ASCII. Quoted local parts, comments and addresses of hosts in
// brackets are not taken: nobody has them, and they smuggle.
func ValidEmail(to string) bool {
	local, domain, ok := SplitEmail(to)
	return ok && len(local) <= maxLocalBytes && len(domain) <= maxDomainBytes &&
		atoms(local, isAtomByte, maxLocalBytes) && atoms(domain, isDomainByte, maxLabelBytes)
}

// SplitEmail splits an address at its last @; without one, ok is false.
func SplitEmail(to string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(to, '@')
	if at < 0 {
		return "", "", false
	}
	return to[:at], to[at+1:], true
}

// atoms reports whether s is one or more pieces with dots between them, each of 1
// to limit bytes that ok takes, or of visible characters outside ASCII.
func atoms(s string, ok func(byte) bool, limit int) bool {
	piece := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '.':
			if piece == 0 {
				return false
			}
			piece = 0
			i++
			continue
		case c < utf8.RuneSelf:
			if !ok(c) {
				return false
			}
			i++
			piece++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError || !unicode.IsPrint(r) {
				return false
			}
			i += size
			piece += size
		}
		if piece > limit {
			return false
		}
	}
	return piece > 0
}

func isAtomByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isDomainByte(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '_' }

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validPhone takes a number as people write it: at least 3 digits, perhaps a
// plus before them, and spaces, brackets, dots, dashes and slashes between.
func validPhone(to string) bool {
	digits := 0
	for i := 0; i < len(to); i++ {
		c := to[i]
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '+' && digits == 0:
		case strings.IndexByte(" ()-./", c) >= 0:
		default:
			return false
		}
	}
	return digits >= 3 && len(to) <= topology.MaxPhoneLength
}

// validToken takes any visible ASCII: what a token looks like is the push
// service's own affair.
func validToken(to string) bool {
	for i := 0; i < len(to); i++ {
		if c := to[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(to) <= topology.MaxTokenLength
}
