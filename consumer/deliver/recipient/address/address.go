// Package address knows what an address of a channel is, and when two ways to
// write one mean the same. Whoever sends and whoever keeps lists of recipients
// ask it alone, so that none can be written to who cannot be suppressed.
package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/meddela/meddela/topology"
)

// Channels lists the channels whose recipients have addresses. A webhook's
// target is named by its template.
func Channels() []topology.Channel {
	return []topology.Channel{topology.Email, topology.SMS, topology.Push}
}

// Check returns what is wrong with the address of a recipient on a channel:
// ReasonMissingAddress, ReasonInvalidAddress, or nothing. What it lets through
// has no control characters and no spaces around it, so that it can stand in a
// header or a command.
func Check(channel topology.Channel, to string) topology.Reason {
	_, ok := Normalize(channel, to)
	switch {
	case ok, channel == topology.Webhook:
		return topology.NoReason
	case to == "":
		return topology.ReasonMissingAddress
	}
	return topology.ReasonInvalidAddress
}

// Normalize returns the form of an address that all ways to write it share,
// and whether it is an address of the channel at all; of webhook none is.
//
//   - E-mail: lower case, the local part too. RFC 5321 lets a server tell local
//     parts apart by case, hardly any does, and to leave one person alone too
//     much is better than to write to one who said no. Letters outside ASCII
//     are in Unicode's form C, domains in their ASCII form (xn--…). Dots and
//     +tags in local parts stay: what they mean is each server's own affair.
//   - SMS: the digits, with a plus before them if the number is international.
//     A leading 00 is a plus, and the (0) within an international number is
//     dropped. A national number and the same one with its country's code are
//     two addresses.
//   - Push: the token as it is.
func Normalize(channel topology.Channel, to string) (normal string, ok bool) {
	switch channel {
	case topology.Email:
		if ValidEmail(to) {
			return normalEmail(to), true
		}
	case topology.SMS:
		var digits [topology.MaxPhoneLength]byte
		number, international, ok := readPhone(to, digits[:0])
		if ok && international {
			return "+" + string(number), true
		}
		return string(number), ok
	case topology.Push:
		if validToken(to) {
			return to, true
		}
	}
	return "", false
}

const (
	maxLocalBytes  = 64
	maxDomainBytes = 253
	maxLabelBytes  = 63
)

// ValidEmail reports whether mail servers take an address: local@domain of RFC
// 5321, where local is atoms with dots between them, and of both RFC 6531's
// letters outside ASCII. Quoted local parts, comments and addresses of hosts in
// brackets are not taken: nobody has them, and they smuggle.
func ValidEmail(to string) bool {
	at := strings.LastIndexByte(to, '@')
	return at >= 0 && len(to) <= topology.MaxEmailLength && at <= maxLocalBytes &&
		atoms(to[:at], isAtomByte, maxLocalBytes) && validDomain(to[at+1:])
}

func validDomain(domain string) bool {
	return len(domain) <= maxDomainBytes && atoms(domain, isDomainByte, maxLabelBytes)
}

// atoms reports whether s is one or more pieces with dots between them, each of
// 1 to limit bytes that ok takes, or of visible characters outside ASCII.
func atoms(s string, ok func(byte) bool, limit int) bool {
	piece := 0
	for _, r := range s {
		switch {
		case r == '.' && piece > 0:
			piece = 0
			continue
		case r < utf8.RuneSelf:
			if !ok(byte(r)) {
				return false
			}
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return false
		}
		if piece += utf8.RuneLen(r); piece > limit {
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

// Split returns the two parts of an e-mail address; none of what has no @.
func Split(to string) (local, domain string) {
	at := strings.LastIndexByte(to, '@')
	if at < 0 {
		return "", ""
	}
	return to[:at], to[at+1:]
}

// ASCIIDomain is an e-mail address whose domain is written as DNS does (xn--…),
// if it has such a form.
func ASCIIDomain(to string) string {
	local, domain := Split(to)
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !validDomain(ascii) {
		return to
	}
	return local + "@" + ascii
}

// IsASCII reports whether an address has no letters outside ASCII.
func IsASCII(to string) bool {
	return strings.IndexFunc(to, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

func normalEmail(to string) string {
	if IsASCII(to) {
		return strings.ToLower(to)
	}
	// In form C, in which it stays when it is made lower case again.
	return ASCIIDomain(norm.NFC.String(strings.ToLower(norm.NFC.String(to))))
}

const minDigits = 3

// readPhone reads a number as people write it: at least 3 digits, perhaps a plus
// before them, and spaces, brackets, dots, dashes and slashes between. The
// digits are appended to number.
func readPhone(to string, number []byte) (digits []byte, international, ok bool) {
	if len(to) > topology.MaxPhoneLength {
		return nil, false, false
	}
	for i := 0; i < len(to); i++ {
		switch c := to[i]; {
		case '0' <= c && c <= '9':
			number = append(number, c)
			if len(number) == 2 && !international && string(number) == "00" {
				number, international = number[:0], true
			}
		case c == '+' && len(number) == 0 && !international:
			international = true
		case c == '(' && international && len(number) > 0 && strings.HasPrefix(to[i:], "(0)"):
			i += len("(0)") - 1
		case strings.IndexByte(" ()-./", c) >= 0:
		default:
			return nil, false, false
		}
	}
	if len(number) < minDigits {
		return nil, false, false
	}
	return number, international, true
}

// validToken takes any visible ASCII: what a token looks like is the push
// service's own affair.
func validToken(to string) bool {
	return to != "" && len(to) <= topology.MaxTokenLength &&
		strings.IndexFunc(to, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}
