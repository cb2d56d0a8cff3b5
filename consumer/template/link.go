package template

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	errNoAddress  = misuse("an address must be whole, starting with https://, http://, mailto: or tel:")
	errBadAddress = misuse("an address has characters that do not belong in one: spaces, controls, quotes, " +
		"backslashes or invisible ones")
	errUserAddress = misuse("an address must not have a user or a password before its host")
	errLinkPairs   = misuse("link takes an address, then pairs of a key and a value; tel: takes none")
)

// maxAddress is the greatest size of an address, in bytes.
const maxAddress = 8 << 10

// link makes an address out of one and what is added to its query, escaped. The
// value of every key must be a text or a number.
func link(args []value) (value, error) {
	s, err := text(args[0])
	if err != nil {
		return value{}, errNoAddress
	}
	u, err := parseAddress(s)
	if err != nil {
		return value{}, err
	}
	pairs := args[1:]
	if len(pairs)%2 != 0 || len(pairs) > 0 && u.Scheme == "tel" {
		return value{}, errLinkPairs
	}
	for i := 0; i < len(pairs); i += 2 {
		key, keyErr := text(pairs[i])
		with, valueErr := text(pairs[i+1])
		if keyErr != nil || valueErr != nil || key == "" {
			return value{}, errLinkPairs
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		if u.RawQuery += escapeQuery(key) + "=" + escapeQuery(with); len(u.RawQuery) > maxAddress {
			return value{}, errTooLarge
		}
	}
	u.ForceQuery = false
	return ofString(u.String()), nil
}

// escapeQuery escapes for a query of every scheme: a plus sign is a space in
// those of the web alone.
func escapeQuery(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// parseAddress reads an address that may stand in a message.
func parseAddress(s string) (*url.URL, error) {
	if err := checkAddress(s); err != nil {
		return nil, err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, foreignToAddress):
		return nil, errBadAddress
	case u.User != nil:
		return nil, errUserAddress
	}
	u.RawQuery = escapeForeign(u.RawQuery)
	u.Opaque = escapeForeign(u.Opaque)
	return u, nil
}

func foreignToAddress(r rune) bool {
	return r <= ' ' || strings.ContainsRune("\"<>\\^`{|}", r) || r > 0x7e &&
		(unicode.IsSpace(r) || unicode.In(r, unicode.C))
}

// escapeForeign escapes what is not ASCII.
func escapeForeign(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			b.WriteByte(s[i])
		} else {
			b.WriteString(url.QueryEscape(s[i : i+1]))
		}
	}
	return b.String()
}

// checkAddress makes sure that following an address runs nothing and shows
// where it leads: that it has a known scheme and, on the web, a host without a
// user before it.
func checkAddress(s string) error {
	if len(s) > maxAddress {
		return errTooLarge
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "mailto", "tel":
		if rest == "" {
			return errNoAddress
		}
		return nil
	case "http", "https":
	default:
		return errNoAddress
	}
	authority, ok := strings.CutPrefix(rest, "//")
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	switch {
	case !ok || authority == "" || authority[0] == ':':
		return errNoAddress
	case strings.Contains(authority, "@"):
		return errUserAddress
	case strings.ContainsFunc(authority, foreignToAddress):
		return errBadAddress
	}
	return nil
}
