package topology

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// MaxDepth is how deep the JSON of a record may nest: arrays and objects
// within each other, the record's own object counted.
const MaxDepth = 100

// checkJSON tells whether value is one JSON object in valid UTF-8, no larger
// than limit bytes and no deeper than MaxDepth; nil means that it is. Depth is
// counted first and without recursion, so that no later, recursive parser can
// be led deep.
func checkJSON(value []byte) *Fault {
	switch {
	case value == nil:
		return &Fault{Reason: ReasonNullValue, Detail: "the record has no value: publish a JSON object"}
	case len(value) > wrappedEventBytes:
		return &Fault{Reason: ReasonTooLarge, Detail: "the value has " + strconv.Itoa(len(value)) + " bytes, more than " + strconv.Itoa(wrappedEventBytes)}
	case !utf8.Valid(value):
		return &Fault{Reason: ReasonNotUTF8, Detail: "the value is not UTF-8"}
	case tooDeep(value):
		return &Fault{Reason: ReasonTooDeep, Detail: "the value nests deeper than " + strconv.Itoa(MaxDepth)}
	case !gjson.ValidBytes(value):
		return &Fault{Reason: ReasonNotJSON, Detail: "the value is not JSON"}
	case bytes.TrimLeft(value, " \t\r\n")[0] != '{':
		return &Fault{Reason: ReasonNotJSON, Detail: "the value must be a JSON object"}
	}
	return nil
}

func tooDeep(value []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
