package topology

import (
	"strings"
	"testing"
)

// TestEventsOfTwoSources: a CloudEvent is told from others by its source and its id.
func TestEventsOfTwoSources(t *testing.T) {
	header := func(pairs ...string) (headers []Header) {
		for i := 0; i < len(pairs); i += 2 {
			headers = append(headers, Header{pairs[i], []byte(pairs[i+1])})
		}
		return headers
	}
	const value = `{"ctx":{}}`
	for _, test := range []struct {
		name, value  string
		headers      []Header
		idWithOrigin bool
		id           EventID
	}{
		{"binary", value, header("ce_specversion", "1.0", "ce_id", "1001", "ce_source", "/shop", "ce_type", "t"), false,
			"/shop#1001"},
		{"another source", value, header("ce_id", "1001", "ce_source", "/billing", "ce_type", "t"), false, "/billing#1001"},
		{"headers in any case and order", value, header("CE_Type", "t", "Ce_Source", "/shop", "CE_SPECVERSION", "1.0",
			"ce_ID", "1001", "Content-Type", "Application/JSON;charset=UTF-8"), false, "/shop#1001"},
		{"structured", `{"specversion":"1.0","id":"1001","source":"/shop","type":"t","data":{"ctx":{}}}`, nil, false, "/shop#1001"},
		{"structured, announced", `{"id":"1001","source":"/shop","type":"t","specversion":"1.0","data":{"ctx":{},"id":"7"}}`,
			header("CONTENT-TYPE", `application/CloudEvents+json; charset="utf-8"`), false, "/shop#1001"},
		{"its data has an origin", `{"specversion":"1.0","id":"1001","source":"/shop","type":"t","data":{"origin":"web","ctx":{}}}`,
			nil, true, "/shop#1001"},
		{"no source", `{"type":"t","ctx":{},"source":"/other"}`, header("ce_id", "1001"), false, "1001"},
		{"an empty source", `{"type":"t","ctx":{}}`, header("ce_id", "1001", "ce_source", ""), false, "1001"},
		{"only the data has an id", `{"specversion":"1.0","source":"/shop","type":"t","data":{"id":"7","ctx":{}}}`, nil, false, "7"},
		{"an id of other characters", value, header("ce_id", "a/b c#%", "ce_source", "/shop", "ce_type", "t"), false,
			"/shop#a/b%20c%23%25"},
		{"a source of other characters", value, header("ce_id", "1", "ce_source", "urn:x#y {å}%20", "ce_type", "t"), false,
			"urn:x#y%20%7B%C3%A5%7D%20#1"},
		{"the form of a position", value, header("ce_id", "realtime-1-2", "ce_source", "/shop", "ce_type", "t"), false,
			"/shop#realtime-1-2"},
		{"what is not JSON", "hello", header("ce_id", "1001", "ce_source", "/shop"), false, "/shop#1001"},
		{"plain", `{"id":"1001","origin":"web shop","source":"x","type":"t","ctx":{}}`, nil, false, "1001"},
		{"plain, with its origin", `{"id":"1001","origin":"web shop","type":"t","ctx":{}}`, nil, true, "web%20shop#1001"},
		{"plain, without an origin", `{"id":"1001","origin":"","type":"t","ctx":{}}`, nil, true, "1001"},
		{"plain, with its source already", `{"id":"web#1001","origin":"x","type":"t","ctx":{}}`, nil, true, "web#1001"},
		{"plain, without an id", `{"origin":"x","type":"t","ctx":{}}`, nil, true, "realtime-3-114"},
		{"too long", value, header("ce_id", strings.Repeat("x", maxQualifiedIDBytes), "ce_source", "/shop", "ce_type", "t"),
			false, "realtime-3-114"},
	} {
		r := Record{Partition: 3, Offset: 114, Value: []byte(test.value), Headers: test.headers}
		event, err := Topics{IDWithOrigin: test.idWithOrigin}.DecodeEvent(r, Realtime)
		if event.ID != test.id || !event.ID.Valid() {
			t.Errorf("%s: id %s, want %s; %v", test.name, event.ID, test.id, err)
		}
		if err != nil && test.name != "what is not JSON" && test.name != "too long" {
			t.Errorf("%s: %v", test.name, err)
		}
		job, err := (&Job{EventID: event.ID, Event: event.Raw}).DecodeEvent(JobHeaders(r.Headers, Email))
		if job.ID != event.ID || job.Type != event.Type || job.Origin != event.Origin ||
			string(job.Ctx) != string(event.Ctx) {
			t.Errorf("%s: from the job %+v, %v; want %+v", test.name, job, err, event)
		}
	}
}

func TestQualifiedIDs(t *testing.T) {
	seen := map[EventID]string{}
	for _, pair := range [][2]string{{"a", "b#c"}, {"a#b", "c"}, {"a", "b%23c"}, {"a", "b/c"}, {"a/b", "c"}, {"a", "b c"},
		{"a", "b%20c"}, {"a", "ä"}, {"a", "%C3%A4"}} {
		id := QualifiedID(pair[0], pair[1])
		if other, twice := seen[id]; twice || !id.Valid() {
			t.Errorf("%v is %s, as is %s", pair, id, other)
		}
		seen[id] = pair[0] + " " + pair[1]
	}
	if source, own := EventID("a#b#1").Split(); source != "a#b" || own != "1" {
		t.Errorf("%s and %s", source, own)
	}
	if source, own := EventID("1").Split(); source != "" || own != "1" {
		t.Errorf("%q and %s", source, own)
	}
}

func TestCloudEventFaults(t *testing.T) {
	for _, test := range []struct{ value, contentType, field, detail string }{
		{`{"specversion":"0.3","id":"1","source":"s","type":"t","data":{"ctx":{}}}`, "", "specversion", "is 0.3: 1.0 is"},
		{`{"specversion":"1.0.2","id":"1","source":"s","type":"t","data":{"ctx":{}}}`, "", "specversion", "is 1.0.2: 1.0 is"},
		{`{"specversion":"newest","id":"1","source":"s","type":"t","data":{"ctx":{}}}`, "", "specversion", "must be 1.0: that"},
		{`{"id":"1","source":"s","type":"t","data":{"ctx":{}}}`, cloudEventType, "specversion", "is required: 1.0 is"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"!"}`, "", "data_base64", "must be Base64 of a JSON"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"aGVsbG8="}`, "", "data_base64", "must be an object"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eyJjdHgiOg=="}`, "", "data_base64",
			"the value is not JSON: it ends at offset 7"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"e30=","data":{}}`, "", "data_base64", "stands beside"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"<a/>"}`, "", "data", "must be an object"},
		{`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"{\"ctx\""}`, "", "data", "the value is not JSON"},
		{`{"specversion":"1.0","id":"1","source":7,"type":"t","data":{"ctx":{}}}`, "", "source", "must be a string"},
		{`[{"specversion":"1.0"}]`, "application/cloudevents-batch+json; charset=utf-8", "",
			"the value is a batch of CloudEvents, which their Kafka binding does not have: publish each event as a record of its own"},
		{"\x12\x34", "application/cloudevents+avro", "", "the value is Avro: publish JSON, or turn it into JSON on the way"},
		{"\x12\x34", "Application/CloudEvents+Protobuf", "", "the value is Protobuf: publish JSON, or turn"},
	} {
		r := Record{Value: []byte(test.value), Headers: []Header{{"content-type", []byte(test.contentType)}}}
		_, err := DecodeEvent(r, Realtime)
		fault, _ := err.(*Fault)
		if fault == nil || fault.Field != test.field || !strings.HasPrefix(fault.Detail, test.detail) {
			t.Errorf("%s: %v", test.value, err)
		}
	}
}
