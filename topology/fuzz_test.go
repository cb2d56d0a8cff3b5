package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

// seeds adds every record of a kind in testdata.
func seeds(f *testing.F, dir string, add func(Record)) {
	for _, grade := range []string{"valid", "lenient", "invalid"} {
		for _, name := range goldenFiles(f, dir+"/"+grade) {
			add(goldenRecord(f, dir, grade, name))
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	seeds(f, "events", func(r Record) {
		header := func(key string) []byte {
			value, _ := r.Header(key)
			return value
		}
		f.Add(r.Value, header("content-type"), header("ce_id"), header("ce_type"))
	})
	f.Fuzz(func(t *testing.T, value, contentType, id, kind []byte) {
		record := Record{Partition: 3, Offset: 114, Value: value}
		for key, header := range map[string][]byte{"content-type": contentType, "ce_id": id, "ce_type": kind} {
			if len(header) > 0 {
				record.Headers = append(record.Headers, Header{key, header})
			}
		}
		e, err := DecodeEvent(record, Realtime)
		if !e.ID.Valid() {
			t.Fatalf("the id is %q", e.ID)
		}
		if err != nil {
			checkFault(t, err)
			return
		}
		written := e
		if e.ID.isPosition() {
			written.ID = "" // which upstream does not write
		}
		text := written.Append(nil)
		if len(text) > MaxEventBytes {
			return // escapes and defaults can make the largest larger
		}
		again, err := DecodeEvent(Record{Partition: 3, Offset: 114, Value: text}, Realtime)
		if err != nil {
			t.Fatalf("re-encoded to %s: %v", text, err)
		}
		again.Raw, e.Raw = nil, nil
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("re-encoded to %s: got %+v, want %+v", text, again, e)
		}
	})
}

// checkFault checks that an error is a fault of the list, with its detail.
func checkFault(t *testing.T, err error) {
	t.Helper()
	fault, ok := errors.AsType[*Fault](err)
	if !ok || fault == nil || fault.Detail == "" || !slices.Contains(Reasons(), fault.Reason) {
		t.Fatalf("error %v", err)
	}
}

func FuzzDecodeJob(f *testing.F) {
	seeds(f, "jobs", func(r Record) { f.Add(r.Value) })
	f.Fuzz(func(t *testing.T, value []byte) {
		j, err := DecodeJob(value)
		if err != nil {
			checkFault(t, err)
			return
		}
		text := j.Append(nil)
		again, err := DecodeJob(text)
		if err != nil || !reflect.DeepEqual(again, j) {
			t.Fatalf("re-encoded to %s: got %+v, %v; want %+v", text, again, err, j)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	seeds(f, "entries", func(r Record) { f.Add(r.Value) })
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := DecodeEntry(value)
		if err != nil {
			checkFault(t, err)
			return
		}
		text := e.Append(nil)
		again, err := DecodeEntry(text)
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("re-encoded to %s: got %+v, %v; want %+v", text, again, err, e)
		}
		a, b := StateOf(&e), StateOf(&again)
		if a != b || merged(a, b) != a {
			t.Fatalf("states %+v and %+v", a, b)
		}
	})
}

// FuzzScan holds the scanner against encoding/json: what is JSON, and what the
// members of an object are.
func FuzzScan(f *testing.F) {
	for _, kind := range goldens() {
		seeds(f, kind.dir, func(r Record) { f.Add(r.Value) })
	}
	for _, text := range []string{
		`{"a":-}`, `{"a":-0.0e+1}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":tru}`, `{"a":nul`, `{"a":"\x"}`, `{"a":"\u12"}`,
		"{\"a\":\"\t\"}",
		`{"a":"\ud83d\ude00\ud800\u0041"}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":[,]}`, `{"a":[1 2]}`,
		`{"a":{]}`, `{"a":[}`, `{}}`,
		`{"\u0061":1,"a":2,"12345678\"":[[],{},[{}]]}`, "\v{}", "{}\x00", "{\"a\":\x00}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		members := map[string]json.RawMessage{}
		fault := walk(value, limits{bytes: MaxEventBytes, depth: 128}, func(key []byte, v wireValue) {
			members[string(key)] = json.RawMessage(v)
		})
		if fault != nil && fault.Reason == ReasonTooDeep {
			return
		}
		var want map[string]json.RawMessage
		err := json.Unmarshal(value, &want)
		isObject := err == nil && want != nil && utf8.Valid(value)
		if isObject != (fault == nil) {
			t.Fatalf("%q: %v, but encoding/json says %v", value, fault, err)
		}
		if fault != nil {
			return
		}
		if len(members) != len(want) {
			t.Fatalf("%q: %d members, want %d", value, len(members), len(want))
		}
		for key, raw := range want {
			if got := members[key]; !bytes.Equal(got, raw) {
				t.Fatalf("%q: member %q is %s, want %s", value, key, got, raw)
			}
		}
	})
}

// FuzzText: encoding/json reads what was written for any string, where bytes
// that are not UTF-8 count as U+FFFD.
func FuzzText(f *testing.F) {
	for _, text := range []string{"", "plain", "ä\u20ac😀", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "\xff\xc3", "<&>\u2028\u2029",
		"\ufeff\ufffd"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := appendText(nil, text)
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil || got != string([]rune(text)) {
			t.Fatalf("%q is written as %s, and read as %q, %v", text, quoted, got, err)
		}
	})
}

// FuzzCompacted: the records of the compacted topics are read as they were written, or refused with a fault.
func FuzzCompacted(f *testing.F) {
	key := []byte("email:339ddf2e8137246f604b58d371b67a01:manual")
	for _, dir := range []string{"templates", "controls", "suppressions"} {
		seeds(f, dir, func(r Record) { f.Add(key, r.Value) })
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if _, err := DecodeTemplate(value); err != nil {
			checkFault(t, err)
		}
		if c, err := DecodeControl(value); err != nil {
			checkFault(t, err)
		} else if again, err := DecodeControl(c.Append(nil)); err != nil || again.Subject != c.Subject ||
			again.Action != c.Action {
			t.Fatalf("%+v is read as %+v, %v", c, again, err)
		}
		s, known, err := DecodeSuppression(&Record{Key: key, Value: value})
		if err != nil {
			checkFault(t, err)
		}
		if known && (s.Key() != string(key) || s.Hash.Bucket() >= SuppressionBuckets) {
			t.Fatalf("%q is read as %q", key, s.Key())
		}
		_, _ = PepperOf(string(key))
	})
}

// FuzzHeaders: whatever a redriven record's headers are, its receipt is one that the log takes.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte("2"), []byte("meddela.realtime.events/3/7"), []byte("2026-12-01T08:00:00.000Z"))
	f.Add([]byte("-1"), []byte("/\xff/"), []byte("9999-99-99"))
	f.Fuzz(func(t *testing.T, redrives, source, at []byte) {
		r := Record{Topic: "meddela.realtime.redrive", Headers: []Header{{HeaderRedrives, redrives}, {HeaderSource, source},
			{HeaderReceivedAt, at}, {HeaderHeldUntil, at}, {"traceparent", source}}}
		receipt := ReceiptOf(&r)
		if receipt.Redrives < 0 || receipt.Redrives > MaxRedrives || len(receipt.Source) > maxEntryTextBytes {
			t.Fatalf("%+v", receipt)
		}
		if topic, partition, offset, ok := Source(source).Split(); ok && (partition < 0 || offset < 0 || topic == "") {
			t.Fatalf("%q is at %q %d %d", source, topic, partition, offset)
		}
		if carried := CarriedByEntries(r.Headers); len(carried) > 0 && len(carried[0].Value) != 55 {
			t.Fatalf("carried: %q", carried)
		}
		_ = HeldUntil(&r)
	})
}

// FuzzParseState: whatever Redis holds of an event, it is a state or an error.
func FuzzParseState(f *testing.F) {
	f.Add("sent", "1", "1700000000000")
	f.Add("", "-9223372036854775808", "1e3")
	f.Fuzz(func(t *testing.T, status, redrives, at string) {
		s, ok, err := ParseState("e-1", map[string]string{FieldStatus: status, FieldRedrives: redrives, FieldPendingAt: at})
		if _, wrong := ParseStatus(status); !ok || err == nil && (wrong != nil || s.PendingAt.Before(time.Time{})) {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}
