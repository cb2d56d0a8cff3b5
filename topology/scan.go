package topology

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep the JSON of an event may nest: objects and arrays
// within each other, the event's own object counted.
const MaxDepth = 100

// limits bounds what a record's value may be.
type limits struct {
	bytes int
	depth int // at most 128, the room in scanner.arrays
}

// eventLimits are those of whatever comes from outside.
var eventLimits = limits{bytes: MaxEventBytes, depth: MaxDepth}

// wrapLimits leave room for an event and what meddela wraps around it.
var wrapLimits = limits{bytes: wrappedEventBytes, depth: MaxDepth + 1}

// checkJSON reports whether value is one JSON object in UTF-8 within l. Nil
// means that it is.
func checkJSON(value []byte, l limits) *Fault {
	return walk(value, l, func(_, _ []byte) {})
}

// walk checks value as checkJSON does, and calls visit with each member of
// the object in turn: the key without its quotes and escapes, and the bytes of
// its JSON value. It goes over the value once and without recursion, so that
// its cost is linear and nesting cannot exhaust the stack. After a fault, what
// was visited means nothing.
func walk(value []byte, l limits, visit func(key, value []byte)) *Fault {
	if f := checkBytes(value, l.bytes); f != nil {
		return f
	}
	s := scanner{data: value, maxDepth: l.depth}
	if s.space() != '{' {
		return &Fault{Reason: ReasonNotJSON, Detail: notObject(value)}
	}
	for next := s.value(); next != nothing; {
		switch next {
		case aValue:
			next = s.value()
		case aKey:
			next = s.key()
		case afterValue:
			if s.depth == 1 {
				visit(s.memberKey, value[s.memberStart:s.at:s.at])
			}
			next = s.afterValue()
		}
	}
	return s.fault
}

// checkBytes checks what can be told about a value before it is parsed.
func checkBytes(value []byte, limit int) *Fault {
	switch {
	case value == nil:
		return &Fault{Reason: ReasonNullValue, Detail: "the record has no value: publish a JSON object"}
	case len(value) > limit:
		return &Fault{Reason: ReasonTooLarge, Detail: "the value has " + strconv.Itoa(len(value)) +
			" bytes: at most " + strconv.Itoa(limit) + " are taken"}
	case !utf8.Valid(value):
		return &Fault{Reason: ReasonNotUTF8, Detail: "the value is not UTF-8 at offset " + strconv.Itoa(notUTF8At(value))}
	}
	return nil
}

// notObject says why a value is no object, which does not start as one.
func notObject(value []byte) string {
	if bytes.HasPrefix(value, []byte("\ufeff")) {
		return "the value starts with a byte order mark: leave it out"
	}
	return "the value must be a JSON object: it does not start with {"
}

// notUTF8At is the offset of the first byte that is not UTF-8.
func notUTF8At(value []byte) int {
	for i := 0; i < len(value); {
		r, size := utf8.DecodeRune(value[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(value)
}

// expectation is what must stand next in the JSON.
type expectation int

const (
	nothing expectation = iota // the end was reached, or a fault
	aValue
	aKey
	afterValue // a comma or the end of what is open
)

// scanner goes over JSON text.
type scanner struct {
	data     []byte
	at       int // offset of the next byte
	depth    int // how many objects and arrays are open
	maxDepth int
	arrays   [2]uint64 // a bit for each depth: whether an array is open there
	fault    *Fault

	// The member of the outermost object that is being read.
	memberKey   []byte
	memberStart int
}

// space skips white space and returns the byte after it; 0 at the end.
func (s *scanner) space() byte {
	for s.at < len(s.data) {
		c := s.data[s.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		s.at++
	}
	return 0
}

func (s *scanner) fail(wanted string) expectation {
	at := strconv.Itoa(s.at)
	detail := "the value is not JSON: offset " + at + " should have " + wanted
	if s.at >= len(s.data) {
		detail = "the value is not JSON: it ends at offset " + at + ", which should have " + wanted
	}
	s.fault = &Fault{Reason: ReasonNotJSON, Detail: detail}
	return nothing
}

func (s *scanner) value() expectation {
	switch c := s.space(); c {
	case '"':
		if _, ok := s.text(); !ok {
			return nothing
		}
		return afterValue
	case '{', '[':
		return s.open(c == '[')
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number()
	}
	return s.fail("a JSON value")
}

// open goes into an object or an array.
func (s *scanner) open(array bool) expectation {
	if s.depth == s.maxDepth {
		s.fault = &Fault{Reason: ReasonTooDeep, Detail: "the value nests deeper than " +
			strconv.Itoa(s.maxDepth) + " at offset " + strconv.Itoa(s.at)}
		return nothing
	}
	s.at++
	bit := uint64(1) << (s.depth & 63)
	word := &s.arrays[s.depth>>6&1]
	s.depth++
	if array {
		*word |= bit
		if s.space() == ']' {
			return s.closed()
		}
		return aValue
	}
	*word &^= bit
	if s.space() == '}' {
		return s.closed()
	}
	return aKey
}

func (s *scanner) closed() expectation {
	s.at++
	s.depth--
	return afterValue
}

// inArray reports whether the innermost of what is open is an array.
func (s *scanner) inArray() bool {
	d := s.depth - 1
	return s.arrays[d>>6&1]>>(d&63)&1 == 1
}

// key reads an object's key, the colon, and what of the value it can.
func (s *scanner) key() expectation {
	if s.space() != '"' {
		return s.fail("a key in double quotes")
	}
	start := s.at
	escaped, ok := s.text()
	if !ok {
		return nothing
	}
	end := s.at
	if s.space() != ':' {
		return s.fail("a colon")
	}
	s.at++
	if s.depth == 1 {
		s.memberKey = s.data[start+1 : end-1]
		if escaped {
			s.memberKey = unescape(s.data[start:end])
		}
		s.space()
		s.memberStart = s.at
	}
	return s.value()
}

func (s *scanner) afterValue() expectation {
	c := s.space()
	switch {
	case s.depth == 0:
		if s.at < len(s.data) {
			return s.fail("nothing: the object has ended")
		}
		return nothing
	case s.inArray():
		switch c {
		case ',':
			s.at++
			return s.value()
		case ']':
			return s.closed()
		}
		return s.fail("a comma or the end of the array")
	}
	switch c {
	case ',':
		s.at++
		return s.key()
	case '}':
		return s.closed()
	}
	return s.fail("a comma or the end of the object")
}
