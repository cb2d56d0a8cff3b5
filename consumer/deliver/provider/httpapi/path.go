package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
)

var errPathSyntax = errors.New("use a path such as $.messages[0].id")

// gjsonPath translates the paths of configuration, $.a[0]['b c'], whose $ may be
// missing, to those of gjson.
func gjsonPath(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var steps []string
	for rest != "" {
		var step string
		if step, rest, ok = cutStep(rest); !ok {
			return "", errPathSyntax
		}
		steps = append(steps, gjson.Escape(step))
	}
	if len(steps) == 0 || !utf8.ValidString(text) {
		return "", errPathSyntax
	}
	return strings.Join(steps, "."), nil
}

// cutStep takes .name, [0] or ['name'] from the front of a path.
func cutStep(path string) (step, rest string, ok bool) {
	if name, dotted := strings.CutPrefix(path, "."); dotted {
		end := strings.IndexAny(name, ".[")
		if end < 0 {
			end = len(name)
		}
		return name[:end], name[end:], end > 0 && !strings.ContainsAny(name[:end], `]'"`)
	}
	for _, quote := range []string{"'", `"`} {
		if name, quoted := strings.CutPrefix(path, "["+quote); quoted {
			step, rest, ok = strings.Cut(name, quote+"]")
			return step, rest, ok && step != ""
		}
	}
	if number, bracket := strings.CutPrefix(path, "["); bracket {
		step, rest, ok = strings.Cut(number, "]")
		return step, rest, ok && step != "" && strings.Trim(step, "0123456789") == ""
	}
	return "", "", false
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
