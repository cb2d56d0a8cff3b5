package template

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"text/template/parse"
	"unicode"
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
func link(args []value) value {
	refuse(!args[0].isScalar(), errNoAddress)
	u, pairs := parseAddress(args[0].text), args[1:]
	refuse(len(pairs)%2 != 0 || len(pairs) > 0 && u.Scheme == "tel", errLinkPairs)
	for i := 0; i < len(pairs); i += 2 {
		key, with := pairs[i], pairs[i+1]
		refuse(!key.isScalar() || !with.isScalar() || key.text == "", errLinkPairs)
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += escapeQuery(key.text) + "=" + escapeQuery(with.text)
		refuse(len(u.RawQuery) > maxAddress, errTooLarge)
	}
	u.ForceQuery = false
	return ofString(u.String())
}

// inLine is a value as it stands in the last line of what is written: escaped by where
// in a link that is, unless it is ready, and unless the link is the value itself. It
// can neither end the line nor lead out of the folder that the line names.
func inLine(written []byte, s string, ready bool) string {
	refuse(strings.ContainsAny(s, "\r\n"), "a value has a line end, where each line is a link or an address")
	line := bytes.TrimLeft(written[bytes.LastIndexByte(written, '\n')+1:], " \t\r")
	switch {
	case ready, bytes.IndexByte(line, ' ') >= 0, !bytes.Contains(line, []byte("://")):
		return s
	case bytes.ContainsAny(line, "?#"):
		return escapeQuery(s)
	}
	return url.PathEscape(s)
}

// escapes reports whether a pipeline ends in a function that escapes for links.
func escapes(p *parse.PipeNode) bool {
	last := called(p.Cmds[len(p.Cmds)-1])
	return last == "urlquery" || last == "link"
}

// escapeQuery escapes for a query of every scheme: a plus sign is a space in
// those of the web alone.
func escapeQuery(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// parseAddress reads an address that may stand in a message.
func parseAddress(s string) *url.URL {
	checkAddress(s)
	u, err := url.Parse(s)
	refuse(err != nil || strings.ContainsFunc(s, foreignToAddress), errBadAddress)
	refuse(u.User != nil, errUserAddress)
	u.RawQuery = escapeForeign(u.RawQuery)
	u.Opaque = escapeForeign(u.Opaque)
	return u
}

func foreignToAddress(r rune) bool {
	return r <= ' ' || strings.ContainsRune("\"<>\\^`{|}", r) || r > 0x7e &&
		(unicode.IsSpace(r) || unicode.In(r, unicode.C))
}

// escapeForeign escapes what is not ASCII.
func escapeForeign(s string) string { return foreign.ReplaceAllStringFunc(s, url.QueryEscape) }

var foreign = regexp.MustCompile(`[^\x00-\x7f]+`)

// checkAddress makes sure that following an address runs nothing and shows
// where it leads: that it has a known scheme and, on the web, a host without a
// user before it.
func checkAddress(s string) {
	refuse(len(s) > maxAddress, errTooLarge)
	scheme, rest, _ := strings.Cut(s, ":")
	scheme = strings.ToLower(scheme)
	if scheme == "mailto" || scheme == "tel" {
		refuse(rest == "", errNoAddress)
		return
	}
	authority, ok := strings.CutPrefix(rest, "//")
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	refuse(scheme != "http" && scheme != "https" || !ok || authority == "" || authority[0] == ':', errNoAddress)
	refuse(strings.Contains(authority, "@"), errUserAddress)
	refuse(strings.ContainsFunc(authority, foreignToAddress), errBadAddress)
}
