package topology

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

var names = Topics{Prefix: DefaultPrefix}

// textsOf are the headers by key; a key that comes twice fails the test.
func textsOf(t *testing.T, headers []Header) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, h := range headers {
		if _, twice := texts[h.Key]; twice {
			t.Errorf("header %s comes twice", h.Key)
		}
		texts[h.Key] = string(h.Value)
	}
	return texts
}

func TestDeadLetter(t *testing.T) {
	fault := &Fault{Reason: ReasonWrongType, Field: "ctx", Detail: strings.Repeat("ä", 400)}
	record := Record{
		Topic: "meddela.realtime.events", Partition: 3, Offset: 114, Key: []byte("k"), Value: []byte("v"),
		Headers: []Header{{"traceparent", []byte("00-1-2-03")}, {"ce_id", []byte("e-1")}, {"x-error", []byte("forged")}},
	}
	letter := names.DeadLetter(Realtime, &record, fault, RoleMatch, aTime.In(time.FixedZone("", 3600)))
	if letter.Topic != "meddela.realtime.dead-letters" || string(letter.Key) != "k" || string(letter.Value) != "v" {
		t.Errorf("the letter is %+v", letter)
	}
	got := textsOf(t, letter.Headers)
	want := map[string]string{
		"traceparent": "00-1-2-03", "ce_id": "e-1",
		"x-original-topic": "meddela.realtime.events", "x-original-partition": "3", "x-original-offset": "114",
		"x-reason": "wrong_type", "x-error": "ctx: " + strings.Repeat("ä", 247), "x-role": "match", "x-attempts": "1",
		"x-failed-at": "2026-12-01T07:59:58.123Z", "x-redrives": "0",
	}
	if !maps.Equal(got, want) {
		t.Errorf("headers\n%v, want\n%v", got, want)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, "dead-letter-headers.json", text); err != nil {
		t.Error(err)
	}
}

// TestDeadLetterAgain: a letter that was redriven and failed again says where
// it failed last, and keeps the count of redrives, if it is one.
func TestDeadLetterAgain(t *testing.T) {
	for header, want := range map[string]string{
		"": "0", "2": "2", "007": "7", "-1": "0", "many": "0", "99999999999": "0",
	} {
		record := Record{Topic: "t.redrive", Headers: []Header{{HeaderRedrives, []byte(header)}, {HeaderReason, []byte("old")}}}
		first := names.DeadLetter(Batch, &record, &Fault{Reason: ReasonNotJSON}, RoleMatch, aTime)
		first.Topic = names.Redrive(Batch)
		again := names.DeadLetter(Batch, &first, &Fault{Reason: ReasonTooDeep}, RoleStatus, aTime)
		got := textsOf(t, again.Headers)
		if got[HeaderRedrives] != want || got[HeaderReason] != "too_deep" ||
			got[HeaderOriginalTopic] != string(names.Redrive(Batch)) {
			t.Errorf("redrives %q: headers %v", header, got)
		}
	}
	if letter := names.DeadLetter(Batch, &Record{}, &Fault{}, RoleMatch, aTime); letter.Value != nil || letter.Key != nil {
		t.Errorf("Kafka's null became %+v", letter)
	}
}

func TestCarried(t *testing.T) {
	headers := []Header{
		{"ce_id", []byte("1")}, {"ce_", []byte("no attribute")}, {"ce_subject", []byte("kim@example.com")},
		{"traceparent", []byte(aTrace)}, {"x-reason", []byte("no")},
		{"tracestate", nil}, {"content-type", []byte("no")}, {"Content-Type", []byte("3")}, {"CE_ID", []byte("4")}, {"", nil},
	}
	want := []Header{
		{"traceparent", []byte(aTrace)}, {"tracestate", nil}, {"content-type", []byte("3")}, {"ce_id", []byte("4")},
	}
	channel := Header{HeaderChannel, []byte("sms")}
	if got, want := JobHeaders(headers, SMS), append(want[:len(want):len(want)], channel); !reflect.DeepEqual(got, want) {
		t.Errorf("by jobs: %v, want %v", got, want)
	}
	if got, want := CarriedByEntries(headers), want[:2]; !reflect.DeepEqual(got, want) {
		t.Errorf("by entries: %v, want %v", got, want)
	}
	if got := JobHeaders(nil, SMS); !reflect.DeepEqual(got, []Header{channel}) {
		t.Errorf("of none: %v", got)
	}
}

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestWhatIsNotCarried: what is no trace context, or has more bytes than one, stays
// where it is. Entries have to fit the log, and have nothing of the event.
func TestWhatIsNotCarried(t *testing.T) {
	for _, h := range []Header{
		{"traceparent", make([]byte, 1<<20)}, {"traceparent", nil}, {"traceparent", []byte("kim@example.com")},
		{"traceparent", []byte(strings.ToUpper(aTrace))}, {"traceparent", []byte(aTrace + "-1")},
		{"traceparent", []byte(strings.Replace(aTrace, "0", "-", 1))}, {"tracestate", make([]byte, 3)},
		{"tracestate", bytes.Repeat([]byte("a"), 513)}, {"tracestate", []byte("vendor=å")},
	} {
		if got := CarriedByEntries([]Header{h}); len(got) > 0 {
			t.Errorf("%.60s carries %.60q", h.Key, h.Value)
		}
	}
	for _, h := range []Header{{"tracestate", bytes.Repeat([]byte("a"), 512)}, {"traceparent", []byte(aTrace)}} {
		if got := CarriedByEntries([]Header{h, h, h}); len(got) != 1 {
			t.Errorf("%s: %d are carried", h.Key, len(got))
		}
	}
	long := Header{"content-type", append([]byte(cloudEventType+";"), make([]byte, maxCarriedBytes)...)}
	r := Record{Value: []byte(`{"specversion":"1.0","ctx":{},"type":"a"}`), Headers: []Header{long}}
	carried := JobHeaders(r.Headers, Email)
	before, err := DecodeEvent(r, Realtime)
	after, err2 := DecodeEvent(Record{Value: r.Value, Headers: carried}, Realtime)
	if len(carried) != 1 || err != nil || err2 != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%d headers, %+v %v, %+v %v", len(carried), before, err, after, err2)
	}
}

// TestALargeDeadLetter keeps the place, and why, where its topic would not take the whole.
func TestALargeDeadLetter(t *testing.T) {
	fault := &Fault{Reason: ReasonTooLarge, Detail: "x"}
	for name, r := range map[string]Record{
		"value":   {Value: make([]byte, 40<<20)},
		"key":     {Key: make([]byte, 40<<20), Value: []byte("a")},
		"headers": {Value: []byte("a"), Headers: []Header{{"a", make([]byte, 1<<20)}, {"a", make([]byte, 1<<20)}}},
		"all":     {Value: make([]byte, MaxEventBytes), Key: []byte("k"), Headers: []Header{{"a", []byte("b")}}},
	} {
		r.Topic, r.Partition, r.Offset = names.Events(Batch), 3, 114
		letter := names.DeadLetter(Batch, &r, fault, RoleMatch, aTime)
		if got := textsOf(t, letter.Headers); got[HeaderOriginalOffset] != "114" || got[HeaderReason] != "too_large" {
			t.Errorf("%s: %.300v", name, got)
		}
		if kept := len(letter.Value) > 0; kept != (name == "all") || letter.bytes() > wrappedEventBytes {
			t.Errorf("%s: %d bytes", name, letter.bytes())
		}
	}
}

func TestRecordHeader(t *testing.T) {
	r := Record{Headers: []Header{{"a", []byte("1")}, {"a", nil}, {"b", []byte("2")}}}
	if v, ok := r.Header("a"); v != nil || !ok {
		t.Errorf("a is %q, %v; want the last, which is null", v, ok)
	}
	if v, ok := r.Header("b"); string(v) != "2" || !ok {
		t.Errorf("b is %q, %v", v, ok)
	}
	if v, ok := r.Header("B"); string(v) != "2" || !ok {
		t.Errorf("B is %q, %v; the letter case does not matter", v, ok)
	}
	if _, ok := r.Header("c"); ok {
		t.Error("c is there")
	}
}

func TestTemplateRefSplit(t *testing.T) {
	for ref, want := range map[TemplateRef][2]string{
		"order@3f2a": {"order", "3f2a"}, "a@b@1": {"a@b", "1"}, "order": {"order", ""}, "": {"", ""}, "@1": {"", "1"},
		"order@": {"order", ""},
	} {
		if name, version := ref.Split(); name != want[0] || version != want[1] {
			t.Errorf("%q is %q and %q", ref, name, version)
		}
	}
	record := TemplateRecord{Name: "a@b", Version: "1"}
	if name, version := record.Ref().Split(); name != "a@b" || version != "1" {
		t.Errorf("%s is %q and %q", record.Ref(), name, version)
	}
}

func TestTemplateRoundTrip(t *testing.T) {
	for _, at := range []time.Time{aTime, {}, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)} {
		record := TemplateRecord{
			Name: "n", Version: "1", Types: []string{"t"}, Channel: SMS, DefaultLanguage: "en",
			Bodies: map[string]map[string]string{"en": {"sms.txt": "<b>&\u2028"}}, TTL: Duration(90 * time.Minute),
			PublishedAt: at,
		}
		text := record.Append([]byte{' '})
		got, err := DecodeTemplate(text)
		if at.Year() > 9999 {
			if reasonOf(err) != ReasonBadValue {
				t.Errorf("published in %d: %v, want a fault", at.Year(), err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, record) {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
	}
}

func TestControlRoundTrip(t *testing.T) {
	want := ControlRecord{Subject: SubjectOf(SubjectTemplate, "order"), Action: Pause, By: "kim", Reason: "<price>",
		At: aTime, Until: aTime.Add(time.Hour)}
	got, err := DecodeControl(want.Append(nil))
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestControlInForce(t *testing.T) {
	for _, test := range []struct {
		action ControlAction
		until  time.Time
		want   bool
	}{
		{Pause, time.Time{}, true},
		{Kill, time.Time{}, true},
		{Resume, time.Time{}, false},
		{Pause, aTime.Add(1), true},
		{Pause, aTime, false},
		{Kill, aTime.Add(-1), false},
		{Resume, aTime.Add(1), false},
		{"", time.Time{}, false},
	} {
		c := ControlRecord{Action: test.action, Until: test.until}
		if c.InForce(aTime) != test.want {
			t.Errorf("%q until %v: in force is %v", test.action, test.until, !test.want)
		}
	}
}

func TestSubject(t *testing.T) {
	for text, ok := range map[string]bool{
		"template:order": true, "type:com.example:order": true, "channel:sms": true, "provider:smtp": true,
		"lane:batch": true,
		"":           false, "template": false, "template:": false, "provider:": false, "channel:pigeon": false,
		"lane:express": false,
		"country:FI":   false,
		"type:a\nb":    false, "type:" + strings.Repeat("x", MaxTypeLength+1): false,
	} {
		subject, err := ParseSubject(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if kind, name := subject.Split(); ok && SubjectOf(kind, name) != Subject(text) {
			t.Errorf("%q is split into %q and %q", text, kind, name)
		}
	}
}

// TestDelayed: the record waits for its own topic, and is never due early.
func TestDelayed(t *testing.T) {
	record := Record{Topic: names.Jobs(Batch), Key: []byte("e"),
		Headers: []Header{{"ce_id", []byte("e")}, {HeaderDue, []byte("old")}}}
	due := aTime.Add(2*time.Minute + time.Nanosecond)
	got := names.Delayed(Batch, record, due, aTime)
	if got.Topic != names.Delay(Batch, Tier{Name: "1m"}) {
		t.Errorf("waits on %s", got.Topic)
	}
	want := map[string]string{"ce_id": "e", "x-due": "2026-12-01T08:01:58.124Z", "x-target-topic": "meddela.batch.jobs"}
	if texts := textsOf(t, got.Headers); !maps.Equal(texts, want) {
		t.Errorf("headers %v, want %v", texts, want)
	}
}
