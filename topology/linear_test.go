package topology

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDecodingIsLinear: four times the input costs about four times the work,
// whatever its shape, so that nobody can stall a partition with one record.
// The bound is loose, and a shape has several tries, because others may use
// the machine.
func TestDecodingIsLinear(t *testing.T) {
	const small, factor, bound, tries = 25_000, 4, 10, 8
	for name, shape := range hostileShapes() {
		for decoderName, decode := range map[string]func([]byte){
			"event": func(v []byte) { _, _ = DecodeEvent(Record{Value: v}, Realtime) },
			"job":   func(v []byte) { _, _ = DecodeJob(v) },
			"entry": func(v []byte) { _, _ = DecodeEntry(v) },
		} {
			t.Run(name+"/"+decoderName, func(t *testing.T) {
				one, four := shape(small), shape(small*factor)
				var ratio float64
				for range tries {
					ratio = float64(leastTime(decode, four)) / float64(max(leastTime(decode, one), time.Microsecond))
					if ratio < bound {
						return
					}
				}
				t.Errorf("%d times the input took %.1f times as long", factor, ratio)
			})
		}
	}
}

// leastTime is the shortest of several runs.
func leastTime(decode func([]byte), value []byte) time.Duration {
	least := time.Hour
	for range 3 {
		start := time.Now()
		decode(value)
		least = min(least, time.Since(start))
	}
	return least
}

// hostileShapes make values of about n bytes that a careless reader handles
// in more than linear time or deep recursion.
func hostileShapes() map[string]func(n int) []byte {
	repeat := func(before, unit, after string) func(int) []byte {
		return func(n int) []byte { return []byte(before + strings.Repeat(unit, n/len(unit)) + after) }
	}
	return map[string]func(int) []byte{
		"deep nesting":          repeat(`{"ctx":`, `[`, ``),
		"closed nesting":        repeat(`{"ctx":[`, `[[[[]]]],`, `1]}`),
		"mismatched nesting":    repeat(`{"ctx":`, `[}`, ``),
		"one long string":       repeat(`{"type":"`, `x`, `"}`),
		"a string with no end":  repeat(`{"type":"`, `x`, ``),
		"backslashes":           repeat(`{"type":"`, `\\`, `"}`),
		"escaped quotes":        repeat(`{"type":"`, `\"`, `"}`),
		"surrogates":            repeat(`{"type":"`, `\ud83d\ude00`, `"}`),
		"half surrogates":       repeat(`{"type":"`, `\ud83d`, `"}`),
		"not ASCII":             repeat(`{"type":"`, "\u20ac", `"}`),
		"an escaped key":        repeat(`{"`, `\u0061`, `":1}`),
		"duplicate texts":       repeat(`{`, `"type":"xxxxxxxx",`, `"type":"t"}`),
		"duplicate details":     repeat(`{`, `"detail":"xxxxxxxx\n",`, `"type":"t"}`),
		"duplicate data":        repeat(`{"specversion":"1.0",`, `"data":{"ctx":{}},`, `"data":{}}`),
		"duplicate times":       repeat(`{`, `"at":"2026-12-01T08:00:00Z",`, `"at":null}`),
		"escaped keys":          repeat(`{`, `"\u0074ype":"x",`, `"type":"t"}`),
		"a long number":         repeat(`{"attempt":`, `9`, `}`),
		"a long fraction":       repeat(`{"attempt":0.`, `9`, `}`),
		"a long exponent":       repeat(`{"attempt":1e`, `9`, `}`),
		"many numbers":          repeat(`{`, `"attempt":1.7976931348623157e308,`, `"attempt":1}`),
		"white space":           repeat(``, " \n", `{}`),
		"white space inside":    repeat(`{"a"`, "\t", `:1}`),
		"white space after":     repeat(`{}`, "\r\n", ``),
		"commas":                repeat(`{"ctx":[`, `1,`, `1]}`),
		"an array of one-chars": repeat(`{"ctx":[`, `"",`, `1]}`),
		"many keys": func(n int) []byte {
			b := []byte(`{"type":"t"`)
			for i := 0; len(b) < n; i++ {
				b = append(append(append(b, `,"k`...), strconv.Itoa(i)...), `":0`...)
			}
			return append(b, '}')
		},
		"an envelope of many keys": func(n int) []byte {
			b := []byte(`{"specversion":"1.0","id":"e","type":"t","data":{"ctx":{}`)
			for i := 0; len(b) < n; i++ {
				b = append(append(append(b, `,"k`...), strconv.Itoa(i)...), `":0`...)
			}
			return append(b, `}}`...)
		},
	}
}
