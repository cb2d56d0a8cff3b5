package topology

import (
	"bytes"
	"testing"
)

// TestSkipPlain compares with looking at one byte at a time, for every byte at
// every place of a word, after another that ends the skipping, and at the end.
func TestSkipPlain(t *testing.T) {
	slow := func(data []byte, i int) int {
		for i < len(data) && data[i] >= ' ' && data[i] != '"' && data[i] != '\\' {
			i++
		}
		return i
	}
	for place := range 20 {
		for c := range 256 {
			data := bytes.Repeat([]byte{'x'}, 20)
			data[place] = byte(c)
			for _, later := range []byte{'x', '"', 0x1f, 0xff} {
				data[19] = later
				for start := range 4 {
					if got, want := skipPlain(data, start), slow(data, start); got != want {
						t.Fatalf("%q from %d: %d, want %d", data, start, got, want)
					}
				}
			}
		}
	}
}

// TestCheckJSON places each fault where it is.
func TestCheckJSON(t *testing.T) {
	for text, detail := range map[string]string{
		`{"a":1`:               "the value is not JSON: it ends at offset 6, which should have a comma or the end of the object",
		`{"a":[1`:              "the value is not JSON: it ends at offset 7, which should have a comma or the end of the array",
		`{"a":[1 2]}`:          "the value is not JSON: offset 8 should have a comma or the end of the array",
		`{"a":"x`:              "the value is not JSON: it ends at offset 7, which should have the end of a string",
		`{"a":"\u12g4"}`:       "the value is not JSON: offset 10 should have a hexadecimal digit",
		`{"a":"\u12`:           "the value is not JSON: it ends at offset 10, which should have a hexadecimal digit",
		`{"a":"\x"}`:           "the value is not JSON: offset 7 should have an escape that JSON knows",
		`{"a":"\`:              "the value is not JSON: it ends at offset 7, which should have an escape that JSON knows",
		"{\"a\":\"\n\"}":       "the value is not JSON: offset 6 should have no control character: escape it",
		`{"a":-}`:              "the value is not JSON: offset 6 should have a digit",
		`{"a":1.}`:             "the value is not JSON: offset 7 should have a digit",
		`{"a":1e+}`:            "the value is not JSON: offset 8 should have a digit",
		`{"a":nil}`:            "the value is not JSON: offset 6 should have true, false or null",
		`{"a" 1}`:              "the value is not JSON: offset 5 should have a colon",
		`{a:1}`:                "the value is not JSON: offset 1 should have a key in double quotes",
		`{"a":NaN}`:            "the value is not JSON: offset 5 should have a JSON value",
		`{} x`:                 "the value is not JSON: offset 3 should have nothing: the object has ended",
		"{\"a\":\"\xe4\"}":     "the value is not UTF-8 at offset 6",
		"{\"ä\":\"\xed\xa0\"}": "the value is not UTF-8 at offset 7",
		` `:                    "the value must be a JSON object: it does not start with {",
	} {
		f := walk([]byte(text), eventLimits, func([]byte, wireValue) {})
		if f == nil || f.Detail != detail {
			t.Errorf("%q: %v, want %s", text, f, detail)
		}
	}
	if f := walk([]byte(" {\t} \r\n"), eventLimits, func([]byte, wireValue) {}); f != nil {
		t.Errorf("an empty object: %v", f)
	}
}
