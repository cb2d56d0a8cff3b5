package topology

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sameJSON fails unless text is one JSON object to encoding/json too.
func sameJSON(t *rapid.T, text []byte) {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("encoded to %s: %v", text, err)
	}
}

func TestEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent().Draw(t, "event")
		text := e.Append([]byte("kept"))
		if !bytes.HasPrefix(text, []byte("kept")) {
			t.Fatalf("what was there is now %s", text)
		}
		readsAs(t, text[len("kept"):], func(text []byte) (Event, error) {
			got, err := DecodeEvent(Record{Value: text}, Realtime)
			got.Raw = nil
			return got, err
		}, e)
	})
}

// readsAs wants text to be read as what it was written of.
func readsAs[T any](t *rapid.T, text []byte, decode func([]byte) (T, error), want T) {
	sameJSON(t, text)
	got, err := decode(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s is read as %+v", text, got)
	}
}

func TestJobRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := genJob().Draw(t, "job")
		readsAs(t, j.Append(nil), DecodeJob, j)
	})
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry().Draw(t, "entry")
		readsAs(t, e.Append(nil), DecodeEntry, e)
	})
}

// TestAppendEventDefaults: what the zero event is written as.
func TestAppendEventDefaults(t *testing.T) {
	var e Event
	if got := string(e.Append(nil)); got != `{"ctx":{}}` {
		t.Errorf("the zero event is %s", got)
	}
	e = Event{Type: "t", To: "kim@example.com"}
	if got := string(e.Append(nil)); got != `{"type":"t","email":"kim@example.com","ctx":{}}` {
		t.Errorf("an event without channel is %s", got)
	}
}

// TestNothingIsEarly: what the wire has no room for is never taken off a time
// before which nothing must happen.
func TestNothingIsEarly(t *testing.T) {
	due, want := aTime.Add(time.Nanosecond), aTime.Add(time.Millisecond)
	e := Event{Type: "t", Scheduled: due}
	event, err := DecodeEvent(Record{Value: e.Append(nil)}, Realtime)
	if err != nil || !event.Scheduled.Equal(want) {
		t.Errorf("an event is scheduled at %v, %v; want %v", event.Scheduled, err, want)
	}
	j := aJob()
	j.NotBefore = due
	job, err := DecodeJob(j.Append(nil))
	if err != nil || !job.NotBefore.Equal(want) {
		t.Errorf("a job is not before %v, %v; want %v", job.NotBefore, err, want)
	}
}

// TestAppendCutsDetail: at a character's edge.
func TestAppendCutsDetail(t *testing.T) {
	for detail, want := range map[string]int{
		string(bytes.Repeat([]byte("x"), 600)):               MaxDetailBytes,
		"x" + string(bytes.Repeat([]byte("ä"), 300)):         MaxDetailBytes - 1,
		"xx" + string(bytes.Repeat([]byte("\u20ac"), 200)):   MaxDetailBytes,
		"xxx" + string(bytes.Repeat([]byte("\u20ac"), 200)):  MaxDetailBytes - 2,
		string(bytes.Repeat([]byte("x"), MaxDetailBytes)):    MaxDetailBytes,
		string(bytes.Repeat([]byte("\xbf"), MaxDetailBytes)): 0, // each byte becomes U+FFFD, three bytes
	} {
		e := Entry{EventID: "e", Status: Sent, At: aTime, Detail: detail}
		got, err := DecodeEntry(e.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if want > 0 && (len(got.Detail) != want || got.Detail != detail[:want]) {
			t.Errorf("a detail of %d bytes is cut to %d, want %d", len(detail), len(got.Detail), want)
		}
		if len(got.Detail) > MaxDetailBytes {
			t.Errorf("a detail of %d bytes", len(got.Detail))
		}
	}
}

// TestAppendTime agrees with the format that TimeFormat describes.
func TestAppendTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := genSomeTime().Draw(t, "time").Add(time.Duration(rapid.IntRange(0, 999_999).Draw(t, "nanos")))
		at = at.In(time.FixedZone("", rapid.IntRange(-50_000, 50_000).Draw(t, "offset")))
		if got, want := string(appendTime(nil, at)), at.UTC().Format(TimeFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
	for _, year := range []int{-1, 0, 1, 9999, 10000} {
		at := time.Date(year, 2, 3, 4, 5, 6, 7e6, time.UTC)
		if got, want := string(appendTime(nil, at)), at.Format(TimeFormat); got != want {
			t.Errorf("year %d: got %s, want %s", year, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, test := range []struct {
		text   string
		want   int
		reason Reason
	}{
		{"0", 0, ""}, {"-0", 0, ""}, {"9999", 9999, ""}, {"1.0", 1, ""}, {"1e3", 1000, ""}, {"0.12E2", 12, ""},
		{"99990000e-4", 9999, ""}, {"null", 0, ""},
		{"10000", 0, ReasonBadValue}, {"-1", 0, ReasonBadValue}, {"1.5", 0, ReasonBadValue}, {"1e-1", 0, ReasonBadValue},
		{"1e999", 0, ReasonBadValue}, {"-1e999", 0, ReasonBadValue}, {"123456789012345678901234567890", 0, ReasonBadValue},
		{`"1"`, 0, ReasonWrongType}, {"true", 0, ReasonWrongType}, {"[1]", 0, ReasonWrongType}, {"{}", 0, ReasonWrongType},
	} {
		var d objectReader
		if got := d.number("n", wireValue(test.text), MaxAttempt); got != test.want ||
			reasonOf(d.fault()) != test.reason {
			t.Errorf("%s is read as %d, %v; want %d, %q", test.text, got, d.fault(), test.want, test.reason)
		}
	}
	var d objectReader
	d.number("n", wireValue("1e400"), MaxAttempt) // which is whole, and infinite as a float64
	if fault := d.fault(); fault == nil || !strings.Contains(fault.Error(), "must be from 0 to") {
		t.Errorf("1e400 is refused with %v", fault)
	}
}
