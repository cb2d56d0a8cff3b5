// Package jsonpath reads the paths by which configuration says where a value is in JSON.
package jsonpath

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

var errSyntax = errors.New("use a path such as $.messages[0].id, or $.messages[*].id for any of them")

// step is .name, [0], [*] or ['name'].
var step = regexp.MustCompile(`(?s)^(?:\.([^].['"]+)|\[(\d+|\*)]|\['(.+?)']|\["(.+?)"])`)

// Parse translates a path, $.a[0]['b c'], whose $ may be missing, to gjson's form.
func Parse(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var steps []string
	for rest != "" {
		found := step.FindStringSubmatch(rest)
		if found == nil {
			return "", errSyntax
		}
		rest = rest[len(found[0]):]
		switch {
		case found[2] != "*":
			steps = append(steps, gjson.Escape(strings.Join(found[1:], "")))
		case rest != "": // every member of a list at the end counts anyhow
			steps = append(steps, "#")
		}
	}
	if len(steps) == 0 || !utf8.ValidString(text) {
		return "", errSyntax
	}
	return strings.Join(steps, "."), nil
}
