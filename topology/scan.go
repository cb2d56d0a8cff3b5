package topology

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep the JSON of an event may nest: objects and arrays
// within each other, the event's own object counted.
const MaxDepth = 100

// limits bounds what a record's value may be.
type limits struct{ bytes, depth int }

// eventLimits are those of whatever comes from outside.
var eventLimits = limits{bytes: MaxEventBytes, depth: MaxDepth}

// wrapLimits leave room for an event and what meddela wraps around it.
var wrapLimits = limits{bytes: wrappedEventBytes, depth: MaxDepth + 1}

// walk checks that value is one JSON object in UTF-8 within l, and calls visit
// with each of its members in turn: the key without its quotes and escapes, and
// the bytes of its JSON value. It goes over the value once, so that its cost is
// linear. After a fault, what was visited means nothing.
func walk(value []byte, l limits, visit func(key []byte, value wireValue)) *Fault {
	if f := checkBytes(value, l.bytes); f != nil {
		return f
	}
	s := scanner{data: value, maxDepth: l.depth}
	if s.space() != '{' {
		return &Fault{Reason: ReasonNotJSON, Detail: "the value must be a JSON object: it does not start with {"}
	}
	if s.object(visit) {
		if s.space(); s.at < len(value) {
			s.fail("nothing: the object has ended")
		}
	}
	return s.fault
}

// CheckJSON says what is wrong with text that must be JSON, nesting no deeper than
// that of events; nil if it is.
func CheckJSON(text []byte) *Fault {
	s := scanner{data: text, maxDepth: MaxDepth}
	if s.value() {
		if s.space(); s.at < len(text) {
			s.fail("nothing: the value has ended")
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

// notUTF8At is the offset of the first byte that is not UTF-8.
func notUTF8At(value []byte) int {
	for i, r := range string(value) {
		if r == utf8.RuneError && !bytes.HasPrefix(value[i:], []byte("\ufffd")) {
			return i
		}
	}
	return len(value)
}

// scanner goes over JSON text. Its methods read what their names say, and
// report false after a fault.
type scanner struct {
	data     []byte
	at       int // offset of the next byte
	depth    int // how many objects and arrays are open
	maxDepth int
	fault    *Fault
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

// skip passes over c, if that is the next byte.
func (s *scanner) skip(c byte) bool {
	next := s.at < len(s.data) && s.data[s.at] == c
	if next {
		s.at++
	}
	return next
}

func (s *scanner) fail(wanted string) bool {
	at := strconv.Itoa(s.at)
	detail := "the value is not JSON: offset " + at + " should have " + wanted
	if s.at >= len(s.data) {
		detail = "the value is not JSON: it ends at offset " + at + ", which should have " + wanted
	}
	s.fault = &Fault{Reason: ReasonNotJSON, Detail: detail}
	return false
}

func (s *scanner) value() bool {
	switch c := s.space(); c {
	case '"':
		return s.text()
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
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

// open goes into an object or an array, which bounds how deep the scanner
// recurs.
func (s *scanner) open() bool {
	if s.depth == s.maxDepth {
		s.fault = &Fault{Reason: ReasonTooDeep, Detail: "the value nests deeper than " +
			strconv.Itoa(s.maxDepth) + " at offset " + strconv.Itoa(s.at)}
		return false
	}
	s.at++
	s.depth++
	return true
}

func (s *scanner) close() bool {
	s.at++
	s.depth--
	return true
}

// object visits the members of an object, unless visit is nil.
func (s *scanner) object(visit func(key []byte, value wireValue)) bool {
	if !s.open() {
		return false
	}
	if s.space() == '}' {
		return s.close()
	}
	for {
		if s.space() != '"' {
			return s.fail("a key in double quotes")
		}
		key := s.at
		if !s.text() {
			return false
		}
		keyEnd := s.at
		if s.space() != ':' {
			return s.fail("a colon")
		}
		s.at++
		s.space()
		start := s.at
		if !s.value() {
			return false
		}
		if visit != nil {
			visit(wireValue(s.data[key:keyEnd]).bytes(), s.data[start:s.at:s.at])
		}
		switch s.space() {
		case ',':
			s.at++
		case '}':
			return s.close()
		default:
			return s.fail("a comma or the end of the object")
		}
	}
}

func (s *scanner) array() bool {
	if !s.open() {
		return false
	}
	if s.space() == ']' {
		return s.close()
	}
	for s.value() {
		switch s.space() {
		case ',':
			s.at++
		case ']':
			return s.close()
		default:
			return s.fail("a comma or the end of the array")
		}
	}
	return false
}

// plain tells which bytes stand for themselves inside a JSON string: all but
// the quote, the backslash and control characters.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

func (s *scanner) text() bool {
	s.at++
	for {
		s.at = skipPlain(s.data, s.at)
		switch {
		case s.skip('"'):
			return true
		case s.skip('\\'):
			if !s.escape() {
				return false
			}
		case s.at == len(s.data):
			return s.fail("the end of a string")
		default:
			return s.fail("no control character: escape it")
		}
	}
}

// skipPlain returns the offset of the first byte from i on that is not plain,
// or the length of data. It looks at eight bytes at a time: a byte of found
// is not zero where that of word is a quote, a backslash or less than a space,
// and what a borrow adds is only ever above the first of them.
func skipPlain(data []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		word := binary.LittleEndian.Uint64(data[i:])
		quotes, slashes := word^ones*'"', word^ones*'\\'
		found := ((quotes-ones)&^quotes | (slashes-ones)&^slashes | (word-ones*' ')&^word) & tops
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && plain[data[i]] {
		i++
	}
	return i
}

// escape reads what follows a backslash.
func (s *scanner) escape() bool {
	if s.at >= len(s.data) || strings.IndexByte(`"\/bfnrtu`, s.data[s.at]) < 0 {
		return s.fail("an escape that JSON knows")
	}
	if !s.skip('u') {
		s.at++
		return true
	}
	for end := s.at + 4; s.at < end; s.at++ {
		if s.at >= len(s.data) || !isHex(s.data[s.at]) {
			return s.fail("a hexadecimal digit")
		}
	}
	return true
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) literal(word string) bool {
	for i := range len(word) {
		if !s.skip(word[i]) {
			return s.fail("true, false or null")
		}
	}
	return true
}

func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() || s.skip('.') && !s.digits() {
		return false
	}
	if !s.skip('e') && !s.skip('E') {
		return true
	}
	if !s.skip('+') {
		s.skip('-')
	}
	return s.digits()
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && isDigit(s.data[s.at]) {
		s.at++
	}
	return s.at > start || s.fail("a digit")
}

// unescape returns what a JSON string, given with its quotes, stands for.
// Surrogates without their other half become U+FFFD, as in encoding/json.
func unescape(quoted []byte) []byte {
	var text string
	_ = json.Unmarshal(quoted, &text) // cannot fail: the scanner has accepted it
	return []byte(text)
}
