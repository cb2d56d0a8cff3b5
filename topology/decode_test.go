package topology

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDecodeEventID: whatever is wrong with an event, it has an id by which
// its status can be asked for.
func TestDecodeEventID(t *testing.T) {
	const position = "batch-3-114"
	header := func(id string) []Header { return []Header{{"ce_id", []byte(id)}} }
	for _, test := range []struct {
		name    string
		value   []byte
		headers []Header
		id      EventID
		reason  Reason // of the fault; empty for none
	}{
		{"its own", []byte(`{"id":"own","type":"t","ctx":{}}`), nil, "own", ""},
		{"the longest", []byte(`{"id":"` + strings.Repeat("x", MaxIDBytes) + `","type":"t","ctx":{}}`), nil,
			EventID(strings.Repeat("x", MaxIDBytes)), ""},
		{"escaped", []byte(`{"\u0069d":"o\u0077n","type":"t","ctx":{}}`), nil, "own", ""},
		{"none", []byte(`{"type":"t","ctx":{}}`), nil, position, ""},
		{"its own, and another fault", []byte(`{"id":"own"}`), nil, "own", ReasonMissingField},
		{"a number", []byte(`{"id":7,"type":"t","ctx":{}}`), nil, position, ReasonWrongType},
		{"empty", []byte(`{"id":"","type":"t","ctx":{}}`), nil, position, ReasonBadID},
		{"a slash", []byte(`{"id":"a/b","type":"t","ctx":{}}`), nil, position, ReasonBadID},
		{"not ASCII", []byte(`{"id":"ä","type":"t","ctx":{}}`), nil, position, ReasonBadID},
		{"too long", []byte(`{"id":"` + strings.Repeat("x", MaxIDBytes+1) + `","type":"t","ctx":{}}`), nil, position,
			ReasonBadID},
		{"header", []byte(`{"id":"own","type":"t","ctx":{}}`), header("ce"), "ce", ""},
		{"header, and a bad id of its own", []byte(`{"id":7,"type":"t","ctx":{}}`), header("ce"), "ce", ""},
		{"bad header", []byte(`{"id":"own","type":"t","ctx":{}}`), header("a b"), position, ReasonBadID},
		{"empty header", []byte(`{"id":"own","type":"t","ctx":{}}`), header(""), position, ReasonBadID},
		{"null header", []byte(`{"id":"own","type":"t","ctx":{}}`), []Header{{"ce_id", nil}}, "own", ""},
		{"header twice", []byte(`{"type":"t","ctx":{}}`), append(header("first"), header("last")...), "last", ""},
		{"header of what is not JSON", []byte(`hello`), header("ce"), "ce", ReasonNotJSON},
		{"bad header of what is not JSON", []byte(`hello`), header("a b"), position, ReasonNotJSON},
		{"not JSON", []byte(`{"id":"own",`), nil, position, ReasonNotJSON},
		{"not UTF-8", []byte("{\"id\":\"own\",\"type\":\"\xff\",\"ctx\":{}}"), nil, position, ReasonNotUTF8},
		{"no value", nil, nil, position, ReasonNullValue},
		{"no value, but a header", nil, header("ce"), "ce", ReasonNullValue},
		{"empty value", []byte{}, nil, position, ReasonNotJSON},
		{"envelope", []byte(`{"specversion":"1.0","id":"own","type":"t","data":{"id":7,"ctx":{}}}`), nil, "own", ""},
		{"of the data", []byte(`{"specversion":"1.0","type":"t","data":{"id":"inner","ctx":{}}}`), nil, "inner", ""},
		{"envelope without usable data", []byte(`{"specversion":"1.0","id":"own","type":"t","data":[]}`), nil, "own",
			ReasonWrongType},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := DecodeEvent(Record{Partition: 3, Offset: 114, Value: test.value, Headers: test.headers}, Batch)
			if e.ID != test.id {
				t.Errorf("id %q, want %q", e.ID, test.id)
			}
			if got := reasonOf(err); got != test.reason {
				t.Errorf("fault %v, want reason %q", err, test.reason)
			}
		})
	}
}

// reasonOf is the reason of a fault, or empty for no error.
func reasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Reason
	}
	return "no *Fault"
}

// TestDecodeEventSize: size alone is no fault up to MaxEventBytes.
func TestDecodeEventSize(t *testing.T) {
	const frame = len(`{"type":"t","ctx":{"x":""}}`)
	for _, test := range []struct {
		bytes  int
		reason Reason
	}{
		{1_000_000, ""},
		{MaxEventBytes, ""},
		{MaxEventBytes + 1, ReasonTooLarge},
	} {
		value := []byte(`{"type":"t","ctx":{"x":"` + strings.Repeat("y", test.bytes-frame) + `"}}`)
		e, err := DecodeEvent(Record{Value: value}, Realtime)
		if reasonOf(err) != test.reason {
			t.Errorf("%d bytes: %v, want reason %q", test.bytes, err, test.reason)
		}
		if err == nil && len(e.Ctx) != test.bytes-len(`{"type":"t","ctx":}`) {
			t.Errorf("%d bytes: ctx has %d", test.bytes, len(e.Ctx))
		}
	}
}

func TestDecodeEventDepth(t *testing.T) {
	nested := func(opening, closing string, depth int) []byte {
		return []byte(`{"type":"t","ctx":{"x":` + strings.Repeat(opening, depth-2) + strings.Repeat(closing, depth-2) + `}}`)
	}
	for _, test := range []struct {
		opening, closing string
		depth            int
		reason           Reason
	}{
		{"[", "]", MaxDepth, ""},
		{"[", "]", MaxDepth + 1, ReasonTooDeep},
		{`{"a":[`, `]}`, MaxDepth/2 + 1, ""}, // two levels each, but for the event and ctx
		{`{"a":[`, `]}`, MaxDepth/2 + 2, ReasonTooDeep},
		{"[", "", 500_000, ReasonTooDeep},
		{`{"a":`, "", 100_000, ReasonTooDeep},
	} {
		_, err := DecodeEvent(Record{Value: nested(test.opening, test.closing, test.depth)}, Realtime)
		if reasonOf(err) != test.reason {
			t.Errorf("%q nested %d deep: %v, want reason %q", test.opening, test.depth, err, test.reason)
		}
	}
}

// TestDecodeEventKeepsBytes: Raw is the value, and Ctx a part of it that cannot
// grow into what follows.
func TestDecodeEventKeepsBytes(t *testing.T) {
	value := []byte(` {"type":"t","ctx": {"a" : 1} ,"x":2} `)
	e, err := DecodeEvent(Record{Value: value}, Realtime)
	if err != nil {
		t.Fatal(err)
	}
	if &e.Raw[0] != &value[0] || len(e.Raw) != len(value) {
		t.Error("Raw is not the record's value")
	}
	if string(e.Ctx) != `{"a" : 1}` {
		t.Errorf("Ctx is %s", e.Ctx)
	}
	_ = append(e.Ctx, '!')
	if string(value) != ` {"type":"t","ctx": {"a" : 1} ,"x":2} ` {
		t.Errorf("appending to Ctx changed the value to %s", value)
	}
}

// TestFaultsKeepSecrets: a fault names fields, and never what is in them.
func TestFaultsKeepSecrets(t *testing.T) {
	const secret = "kimsecret"
	for _, value := range []string{
		secret,
		`{"` + secret + `"`,
		`{"a":` + secret + `}`,
		`{"type":"t","ctx":"` + secret + `"}`,
		`{"id":"` + secret + ` ","type":"t","ctx":{}}`,
		`{"type":"t","channel":"` + secret + `","ctx":{}}`,
		`{"type":"t","wishedChannel":"` + secret + `","ctx":{}}`,
		`{"type":"t","email":"` + secret + `\r\n","ctx":{}}`,
		`{"type":"t","email":{"` + secret + `":1},"ctx":{}}`,
		`{"type":"` + strings.Repeat(secret, 20) + `","ctx":{}}`,
		`{"type":"t","scheduled":"` + secret + `","ctx":{}}`,
		`{"specversion":"` + secret + `","type":"t","data":{}}`,
		`{"event_id":"` + secret + ` "}`,
		`{"event_id":"e","status":"` + secret + `"}`,
		`{"event_id":"e","status":"sent","at":"` + secret + `"}`,
		`{"job_id":"e","event_id":"e","lane":"` + secret + `"}`,
		`{"name":["` + secret + `"]}`,
		`{"published_at":"` + secret + `"}`,
		`{"ttl":"` + secret + `"}`,
		`{"types":{"` + secret + `":1}}`,
		`{"bodies":{"` + secret + `":1}}`,
		`{"subject":"` + secret + `"}`,
		`{"subject":"lane:batch","action":"` + secret + `"}`,
	} {
		_, eventErr := DecodeEvent(Record{Value: []byte(value)}, Realtime)
		_, jobErr := DecodeJob([]byte(value))
		_, entryErr := DecodeEntry([]byte(value))
		_, templateErr := DecodeTemplate([]byte(value))
		_, controlErr := DecodeControl([]byte(value))
		for _, err := range []error{eventErr, jobErr, entryErr, templateErr, controlErr} {
			if err == nil {
				t.Errorf("%s is read", value)
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the fault tells it: %v", value, err)
			}
		}
	}
}

func TestDecodeEventTimes(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-12-01t08:00:00z":                aDay(8, 0, 0),
		"2026-12-01T10:00:00.5+02:00":         aDay(8, 0, 500),
		"2026-11-30T23:59:60Z":                aDay(0, 0, 0),
		"2026-12-01t05:29:60.25+05:30":        aDay(0, 0, 250),
		"2026-11-30T15:59:60-08:00":           aDay(0, 0, 0),
		"2026-12-01T08:00:00-00:00":           aDay(8, 0, 0),
		"2026-12-01T08:00:00Z":                aDay(8, 0, 0),
		"2026-12-01T08:00:00.1Z":              aDay(8, 0, 100),
		"2026-12-01T10:00:00.001+02:00":       aDay(8, 0, 1),
		"2026-11-30T20:30:00-11:30":           aDay(8, 0, 0),
		"2026-12-01T08:00:00.999999999+00:00": aDay(8, 1, 0), // never sooner than asked for
	} {
		e, err := DecodeEvent(Record{Value: fmt.Appendf(nil, `{"type":"t","scheduled":%q,"ctx":{}}`, text)}, Realtime)
		if err != nil || !e.Scheduled.Equal(want) || e.Scheduled.Location() != time.UTC {
			t.Errorf("%s is read as %v, %v; want %v", text, e.Scheduled, err, want)
		}
	}
	const offset = "write the offset behind it: Z for UTC, or such as +02:00"
	const colon = "write the offset with a colon, such as +02:00"
	const letter, never = "write T between date and time of day", "there is no such day, time of day or offset"
	const number, other = timeIsNumber, "it has another form"
	for text, want := range map[string]string{
		"2026-12-01T08:00:00":                         offset,
		"2026-12-01 08:00:00Z":                        letter,
		"2026-12-01 08:00:00.123":                     letter + ", and " + offset,
		"2026-12-01_08:00:00Z":                        letter,
		"2026-12-01 08:00:00 +0200":                   letter + ", and " + colon,
		"2026-12-01T08:00:00+0200":                    colon,
		"2026-12-01T08:00:00-08":                      colon,
		"2026-12-01T08:00:00+2":                       colon,
		"2026-12-01 08:00:00 UTC":                     letter + ", and write an offset such as +02:00 in place of the zone's name",
		"2026-12-01T08:00:00 Europe/Stockholm":        "write an offset such as +02:00 in place of the zone's name",
		"2026-12-01T08:00:00[Europe/Paris]":           "write an offset such as +02:00 in place of the zone's name",
		"2026-12-01T08:00:00+01:00[Europe/Stockholm]": "leave out the zone's name behind the offset",
		"2026-12-01":                                  "write the time of day too",
		"2026-12-01T08:00Z":                           "write the seconds too",
		"2026-12-01T8:00:00Z":                         "write the hour with two digits",
		"2026-12-01T08:00:00,5Z":                      "write a point before the fraction",
		" 2026-12-01T08:00:00Z":                       "leave out the blanks and invisible characters around it",
		"2026-12-01T08:00:00Z\\n":                     "leave out the blanks and invisible characters around it",
		"2026-12-01T08:00:00Z\u200b":                  "leave out the blanks and invisible characters around it",
		"\ufeff2026-12-01T08:00:00Z":                  "leave out the blanks and invisible characters around it",
		"2026-12-01T08:00:00 Z":                       "leave out the blank before the offset",
		"2026-12-01T08:00:00.5  +02:00":               "leave out the blank before the offset",
		"2026-02-29T08:00:00Z":                        never,
		"2026-12-01T24:00:00Z":                        never,
		"2026-12-01T08:00:61Z":                        never,
		"2026-12-01T08:00:60Z":                        never,
		"2026-12-01T23:59:60+01:00":                   never,
		"2026-12-01T08:00:00+24:00":                   never,
		"9999-12-31T23:59:60Z":                        never,
		"9999-12-31T23:59:59-01:00":                   never,
		"0000-01-01T00:00:00+01:00":                   never,
		"20261201T080000Z":                            "write date and time of day with dashes and colons",
		"20261201":                                    "write date and time of day with dashes and colons",
		"1796112000":                                  number,
		"1796112000000":                               number,
		"1796112000.5":                                number,
		"tomorrow":                                    other,
		"12026-12-01T08:00:00Z":                       other,
		"Tue, 01 Dec 2026 08:00 GMT":                  other,
		"2026-W49-2T08:00:00Z":                        other,
	} {
		value := []byte(`{"type":"t","expiration":"` + strings.ReplaceAll(text, `\\n`, `\n`) + `","ctx":{}}`)
		_, err := DecodeEvent(Record{Value: value}, Realtime)
		fault, _ := errors.AsType[*Fault](err)
		if fault == nil || fault.Reason != ReasonBadValue || fault.Field != "expiration" ||
			fault.Detail != timeWanted+": "+want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for value, want := range map[string]string{
		"1796112000": timeWanted + ": " + number, "1796112000000.25": timeWanted + ": " + number,
		"[2026,12,1,8,0]": "must be a string", `{"$date":1}`: "must be a string", "true": "must be a string",
	} {
		_, err := DecodeEvent(Record{Value: []byte(`{"type":"t","ctx":{},"scheduled":` + value + `}`)}, Realtime)
		if fault, _ := errors.AsType[*Fault](err); fault == nil || fault.Reason != ReasonWrongType || fault.Detail != want {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}

// aDay is a time on 1 December 2026, from 8 o'clock on.
func aDay(hour, second, milli int) time.Time {
	return time.Date(2026, 12, 1, hour, 0, second, milli*1e6, time.UTC)
}

// TestDecodeEventText: the bounds are in characters, and control characters
// are refused however they are written.
func TestDecodeEventText(t *testing.T) {
	for _, test := range []struct {
		field, text string // text as it stands in the JSON
		reason      Reason
	}{
		{"type", strings.Repeat("ä", MaxTypeLength), ""},
		{"type", strings.Repeat("ä", MaxTypeLength+1), ReasonBadValue},
		{"type", strings.Repeat(`\u00e4`, MaxTypeLength), ""},
		{"email", `kim@example.com\r\nBcc: all@example.com`, ReasonBadValue},
		{"email", `kim\u000a@example.com`, ReasonBadValue},
		{"email", `kim\u0000@example.com`, ReasonBadValue},
		{"email", "kim\x7f@example.com", ReasonBadValue},
		{"email", strings.Repeat("k", MaxEmailLength), ""},
		{"email", strings.Repeat("k", MaxEmailLength+1), ReasonBadValue},
		{"country", strings.Repeat("s", MaxCountryLength+1), ReasonBadValue},
		{"timezone", strings.Repeat("s", MaxTimezoneLength+1), ReasonBadValue},
		{"origin", strings.Repeat("s", MaxOriginLength+1), ReasonBadValue},
		{"externalId", strings.Repeat("s", MaxOriginLength+1), ReasonBadValue},
		{"correlationId", strings.Repeat("s", MaxOriginLength+1), ReasonBadValue},
		{"channel", "email ", ReasonUnknownChannel},
		{"channel", "\u017fms", ReasonUnknownChannel}, // a letter that folds to s
		{"wishedChannel", "041", ReasonUnknownChannel},
	} {
		value := `{"type":"t","ctx":{},"` + test.field + `":"` + test.text + `"}`
		_, err := DecodeEvent(Record{Value: []byte(value)}, Realtime)
		if reasonOf(err) != test.reason {
			t.Errorf("%s %.40q: %v, want reason %q", test.field, test.text, err, test.reason)
		}
		if fault, ok := errors.AsType[*Fault](err); ok && fault.Field != test.field {
			t.Errorf("%s %.40q: the fault is about %s", test.field, test.text, fault.Field)
		}
	}
}

// TestUnseen: what nobody sees around a text is no part of it; in an id it is refused, and named.
func TestUnseen(t *testing.T) {
	for _, unseen := range []string{" ", "\u00a0", "\u200b", "\ufeff", "\u00ad", "\u200e", "\u202e", "\u2060", "\u3000",
		"\u180e", "\u2028", "\U000e0001", " \u200f "} {
		around := func(text string) string { return `":"` + unseen + text + unseen + `"` }
		value := `{"type` + around("order") + `,"ctx":{},"language` + around("sv-SE") + `,"country` + around("SE") +
			`,"timezone` + around("Europe/Stockholm") + `,"externalId` + around("å 8") +
			`,"email` + around("kim@example.com") + `}`
		e, err := DecodeEvent(Record{Value: []byte(value)}, Realtime)
		got := strings.Join([]string{e.Type, e.Language, e.Country, e.Timezone, e.ExternalID, e.To}, "|")
		if want := "order|sv-SE|SE|Europe/Stockholm|å 8|kim@example.com"; err != nil || got != want {
			t.Errorf("%+q: %+q, %v", unseen, got, err)
		}
		if strings.Contains(unseen, " ") {
			continue
		}
		for at, id := range map[string]string{"0": unseen + "8", "1": "8" + unseen, "2": "87" + unseen + "6"} {
			_, err = DecodeEvent(Record{Value: []byte(`{"type":"t","ctx":{},"id":"` + id + `"}`)}, Realtime)
			if reasonOf(err) != ReasonBadID || !strings.HasSuffix(err.Error(), "it has an invisible character at "+at) {
				t.Errorf("%+q: %v", id, err)
			}
		}
	}
}

func TestDecodeEventBadHeaderText(t *testing.T) {
	_, err := DecodeEvent(Record{
		Value:   []byte(`{"type":"t","ctx":{}}`),
		Headers: []Header{{"ce_type", []byte("\xff")}},
	}, Realtime)
	if reasonOf(err) != ReasonNotUTF8 {
		t.Errorf("%v, want not_utf8", err)
	}
}

// TestJobDecodeEvent: the job's event and headers give the event again.
func TestJobDecodeEvent(t *testing.T) {
	for _, record := range []Record{
		goldenRecord(t, "events", "valid", "full"),
		goldenRecord(t, "events", "valid", "least"), // whose id is its position
		goldenRecord(t, "events", "valid", "spaced"),
		goldenRecord(t, "events", "valid", "cloudevent-binary"),
		goldenRecord(t, "events", "valid", "cloudevent-structured"),
	} {
		event, err := DecodeEvent(record, Realtime)
		if err != nil {
			t.Fatal(err)
		}
		sent := aJob()
		sent.EventID, sent.Event = event.ID, event.Raw
		job, err := DecodeJob(sent.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		again, err := job.DecodeEvent(JobHeaders(record.Headers, job.Channel))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(again.Append(nil)), string(event.Append(nil)); got != want {
			t.Errorf("from the job:\n%s\nfrom the record:\n%s", got, want)
		}
	}
}
