package httpapi

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
)

var errPathSyntax = errors.New("use a path such as $.messages[0].id")

// pathStep is .name, [0] or ['name'].
var pathStep = regexp.MustCompile(`(?s)^(?:\.([^].['"]+)|\[(\d+)]|\['(.+?)']|\["(.+?)"])`)

// gjsonPath translates the paths of configuration, $.a[0]['b c'], whose $ may be
// missing, to those of gjson.
func gjsonPath(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var steps []string
	for rest != "" {
		step := pathStep.FindStringSubmatch(rest)
		if step == nil {
			return "", errPathSyntax
		}
		rest = rest[len(step[0]):]
		steps = append(steps, gjson.Escape(strings.Join(step[1:], "")))
	}
	if len(steps) == 0 || !utf8.ValidString(text) {
		return "", errPathSyntax
	}
	return strings.Join(steps, "."), nil
}

// location is where an answer has a value; the zero value is nowhere.
type location struct{ header, path string }

func newLocation(text string) (location, error) {
	if text == "" {
		return location{}, nil
	}
	if name, ok := strings.CutPrefix(text, "header:"); ok {
		if !httpguts.ValidHeaderFieldName(name) {
			return location{}, errors.New("that is no name of a header")
		}
		return location{header: http.CanonicalHeaderKey(name)}, nil
	}
	path, err := gjsonPath(text)
	return location{path: path}, err
}

// of is the value; empty if it is not there. A body that is not complete has
// none.
func (p location) of(a *outbound.Response) string {
	switch {
	case p.header != "":
		return a.Header.Get(p.header)
	case p.path != "" && !a.Partial && gjson.ValidBytes(a.Body):
		return gjson.GetBytes(a.Body, p.path).String()
	}
	return ""
}
