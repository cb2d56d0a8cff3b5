// Package address knows what an address of a channel is, and when two ways to
// write one mean the same. Whoever sends and whoever keeps lists of recipients
// ask it alone, so that none can be written to who cannot be suppressed.
package address

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/meddela/meddela/topology"
)

// Channels lists the channels whose recipients have addresses. A webhook's
// target is named by its template.
func Channels() []topology.Channel {
	return []topology.Channel{topology.Email, topology.SMS, topology.Push}
}

// Read returns an address as a provider is given it, or what is wrong with it: ReasonMissingAddress
// or ReasonInvalidAddress, and a detail that has nothing of the address. Blanks and invisible
// characters around it are left out. What it lets through has neither those nor control characters, so
// that it can stand in a header or a command.
//
// A phone number is in the form of E.164. Without its country's code it is one of the region, an ISO 3166
// code such as SE; where there is no region, its digits are all that is known of it.
func Read(channel topology.Channel, to, region string) (address string, wrong topology.Reason, detail string) {
	address = strings.TrimFunc(to, topology.IsUnseen)
	ok := false
	switch channel {
	case topology.Webhook:
		return to, topology.NoReason, ""
	case topology.Email:
		ok = ValidEmail(address)
	case topology.Push:
		ok = validToken(address)
	case topology.SMS:
		if address != "" {
			address, detail = readPhone(address, region)
			ok = detail == ""
		}
	}
	switch {
	case ok:
		return address, topology.NoReason, ""
	case address == "" && detail == "":
		return "", topology.ReasonMissingAddress, ""
	}
	return "", topology.ReasonInvalidAddress, detail
}

// Normalize returns the form of an address that all ways to write it share,
// and whether it is an address of the channel at all; of webhook none is.
//
//   - E-mail: lower case, the local part too. RFC 5321 lets a server tell local
//     parts apart by case, hardly any does, and to leave one person alone too
//     much is better than to write to one who said no. Letters outside ASCII
//     are in Unicode's form C, domains in their ASCII form (xn--…). Dots and
//     +tags in local parts stay: what they mean is each server's own affair.
//   - SMS and push: as Read returns it.
func Normalize(channel topology.Channel, to, region string) (normal string, ok bool) {
	normal, wrong, _ := Read(channel, to, region)
	if wrong != topology.NoReason || channel == topology.Webhook {
		return "", false
	}
	if channel == topology.Email {
		normal = normalEmail(normal)
	}
	return normal, true
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

// Wire is an e-mail address as servers and headers have it: its domain as DNS writes it, unless its local part needs
// letters outside ASCII anyway.
func Wire(to string) string {
	to = strings.TrimFunc(to, topology.IsUnseen)
	if local, _ := Split(to); IsASCII(to) || !IsASCII(local) {
		return to
	}
	return ASCIIDomain(to)
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

const minDigits, maxDigits = 3, 15 // the most that E.164 has

// readPhone reads a number as people write it. Detail says what is wrong with it.
func readPhone(to, region string) (number, detail string) {
	digits, international := digitsOf(to)
	switch {
	case len(digits) < minDigits, len(digits) > maxDigits && !international && region == "":
		return "", "it is no phone number: it has other characters than digits, a fraction, or too few or too many of them"
	case !international && region == "":
		return digits, ""
	case international:
		digits = "+" + digits
	}
	read, err := phonenumbers.Parse(digits, region)
	if errors.Is(err, phonenumbers.ErrInvalidCountryCode) {
		return "", "no country has the code that the phone number begins with"
	}
	if err != nil {
		return "", "it is no phone number: " + err.Error()
	}
	switch phonenumbers.IsPossibleNumberWithReason(read) {
	case phonenumbers.IS_POSSIBLE:
		return phonenumbers.Format(read, phonenumbers.E164), ""
	case phonenumbers.TOO_LONG:
		return "", "the phone number is too long for its country"
	}
	return "", "the phone number is too short for its country"
}

// IsNational reports whether a phone number is without its country's code, if it is one.
func IsNational(to string) bool {
	digits, international := digitsOf(to)
	return digits != "" && !international
}

// digitsOf are those of a phone number: without the plus, or the 00, that makes it international, and without the
// blanks, brackets, dots, dashes and slashes between. There are none where there is anything else. What was kept as a
// number, 46701234567.0, is without its fraction; one digit behind a dot that may be another is none of a phone number.
func digitsOf(to string) (digits string, international bool) {
	var number [topology.MaxPhoneLength]byte
	n, dots, others, dot := 0, 0, 0, 0
	for _, r := range strings.TrimFunc(to, topology.IsUnseen) {
		if r >= utf8.RuneSelf {
			r = plainly(r)
		}
		switch {
		case n == len(number):
			return "", false
		case '0' <= r && r <= '9':
			number[n] = byte(r)
			if n++; n == 2 && !international && string(number[:n]) == "00" {
				n, international = 0, true
			}
		case r == '+' && n == 0 && !international:
			international = true
		case r == '.':
			dots, dot = dots+1, n
		case strings.ContainsRune(" ()-/", r):
			others++
		default:
			return "", false
		}
	}
	switch fraction := string(number[min(dot, n):n]); {
	case dots == 1 && others == 0 && (fraction == "0" || fraction == "00"):
		n = dot
	case dots > 0 && len(fraction) == 1:
		return "", false
	}
	return string(number[:n]), international
}

// plainly is a character outside ASCII as it is meant in a phone number.
func plainly(r rune) rune {
	switch {
	case '\uff01' <= r && r <= '\uff5e': // of full width
		return r - '\uff01' + '!'
	case unicode.IsDigit(r):
		return '0' + value(r)
	case topology.IsUnseen(r), unicode.Is(unicode.Pd, r), r == '\u2212':
		return ' '
	}
	return r
}

// value is that of a decimal digit of any script: each has its ten in order, and ranges are of whole tens.
func value(digit rune) rune {
	for _, of := range unicode.Nd.R16 {
		if rune(of.Lo) <= digit && digit <= rune(of.Hi) {
			return (digit - rune(of.Lo)) % 10
		}
	}
	for _, of := range unicode.Nd.R32 {
		if rune(of.Lo) <= digit && digit <= rune(of.Hi) {
			return (digit - rune(of.Lo)) % 10
		}
	}
	return digit
}

// IsRegion reports whether phone numbers of that country are known.
func IsRegion(region string) bool { return phonenumbers.GetCountryCodeForRegion(region) != 0 }

// validToken takes any visible ASCII: what a token looks like is the push
// service's own affair.
func validToken(to string) bool {
	return to != "" && len(to) <= topology.MaxTokenLength &&
		strings.IndexFunc(to, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}
