package suppress

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/meddela/meddela/topology"
)

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
func Normalize(channel topology.Channel, address string) (normal string, ok bool) {
	switch channel {
	case topology.Email:
		return normalEmail(address)
	case topology.SMS:
		return normalPhone(address)
	case topology.Push:
		if address != "" && len(address) <= topology.MaxTokenLength && visible(address) {
			return address, true
		}
	}
	return "", false
}

// notInEmail are the marks around and between addresses, which would make one
// more of what is none.
const notInEmail = `<>()[],;:\"`

func normalEmail(address string) (normal string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 || len(address) > topology.MaxEmailLength || strings.ContainsAny(address, notInEmail) {
		return "", false
	}
	if !utf8.ValidString(address) || strings.ContainsFunc(address, unprintable) {
		return "", false
	}
	if plainASCII(address) {
		return strings.ToLower(address), true
	}
	local, domain := lower(address[:at]), lower(address[at+1:])
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	if local == "" || domain == "" {
		return "", false
	}
	return local + "@" + domain, true
}

// lower is in form C, in which it stays when it is made lower case again.
func lower(s string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(s))) }

func unprintable(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError
}

func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// visible tells whether s is ASCII without spaces and control characters.
func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

const minDigits = 3

func normalPhone(address string) (normal string, ok bool) {
	if len(address) > topology.MaxPhoneLength {
		return "", false
	}
	var digits [topology.MaxPhoneLength + 1]byte
	number := digits[:0]
	international := false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case '0' <= c && c <= '9':
			number = append(number, c)
			if len(number) == 2 && !international && string(number) == "00" {
				number, international = number[:0], true
			}
		case c == '+' && len(number) == 0 && !international:
			international = true
		case c == '(' && international && len(number) > 0 && strings.HasPrefix(address[i:], "(0)"):
			i += len("(0)") - 1
		case strings.IndexByte(" ()-./", c) >= 0:
		default:
			return "", false
		}
	}
	if len(number) < minDigits {
		return "", false
	}
	if international {
		return "+" + string(number), true
	}
	return string(number), true
}
