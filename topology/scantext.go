package topology

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// plain tells which bytes stand for themselves inside a JSON string: all but
// the quote, the backslash and control characters.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

// text reads a string from its opening quote and reports whether it has escapes.
func (s *scanner) text() (escaped, ok bool) {
	data, i := s.data, s.at+1
	for {
		i = skipPlain(data, i)
		s.at = i
		if i == len(data) {
			s.fail("the end of a string")
			return escaped, false
		}
		switch data[i] {
		case '"':
			s.at++
			return escaped, true
		case '\\':
			if escaped = true; !s.escape() {
				return escaped, false
			}
			i = s.at
		default:
			s.fail("no control character: escape it")
			return escaped, false
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

// escape reads an escape from its backslash.
func (s *scanner) escape() bool {
	s.at++
	if s.at < len(s.data) {
		switch s.data[s.at] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			s.at++
			return true
		case 'u':
			s.at++
			return s.hex4()
		}
	}
	s.fail("an escape that JSON knows")
	return false
}

func (s *scanner) hex4() bool {
	for end := s.at + 4; s.at < end; s.at++ {
		if s.at >= len(s.data) || !isHex(s.data[s.at]) {
			s.fail("a hexadecimal digit")
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) literal(word string) expectation {
	for i := range len(word) {
		if s.at >= len(s.data) || s.data[s.at] != word[i] {
			return s.fail("true, false or null")
		}
		s.at++
	}
	return afterValue
}

func (s *scanner) number() expectation {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return nothing
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if !s.digits() {
			return nothing
		}
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		if !s.digits() {
			return nothing
		}
	}
	return afterValue
}

// digits reads one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && isDigit(s.data[s.at]) {
		s.at++
	}
	if s.at == start {
		s.fail("a digit")
	}
	return s.at > start
}

// unescape returns what a JSON string, given with its quotes, stands for.
// Surrogates without their other half become U+FFFD, as in encoding/json.
func unescape(quoted []byte) []byte {
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return nil // cannot be: the scanner has accepted it
	}
	return []byte(text)
}
