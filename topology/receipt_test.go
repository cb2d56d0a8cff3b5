package topology

import (
	"errors"
	"testing"
	"time"
)

func TestAnEventPublishedAgainIsTheSameEvent(t *testing.T) {
	first := Record{
		Topic: "meddela.realtime.events", Partition: 3, Offset: 40, Time: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC),
		Value:   []byte(`{"type":"order","ctx":{}}`),
		Headers: []Header{{"traceparent", []byte("00-aa-bb-01")}},
	}
	event, err := DecodeEvent(first, Realtime)
	if err != nil {
		t.Fatal(err)
	}
	receipt := ReceiptOf(&first)
	if want := (Receipt{0, first.Source(), first.Time}); receipt != want {
		t.Fatalf("receipt %+v, want %+v", receipt, want)
	}
	record := first
	for redrives := 1; redrives <= 3; redrives++ {
		record = names.Again(Realtime, record, event.ID, ReceiptOf(&record))
		record.Offset, record.Time = 1000, first.Time.AddDate(0, 0, redrives)
		again, err := DecodeEvent(record, Realtime)
		if err != nil || again.ID != event.ID {
			t.Errorf("redrives %d has the id %s, %v; want %s", redrives, again.ID, err, event.ID)
		}
		if got, want := ReceiptOf(&record), (Receipt{redrives, receipt.Source, receipt.At}); got != want {
			t.Errorf("receipt %+v, want %+v", got, want)
		}
		if record.Topic != "meddela.realtime.redrive" || len(record.Headers) != 5 || record.Headers[0].Key != "traceparent" {
			t.Errorf("headers %v", record.Headers)
		}
	}
	if len(first.Headers) != 1 || first.Topic != names.Events(Realtime) {
		t.Error("publishing again changes the first record")
	}
}

// TestManyHeaders: what is read can be read as a dead letter, too, and when it is published again, as the same event.
func TestManyHeaders(t *testing.T) {
	names := Topics{Prefix: DefaultPrefix, Build: "v1"}
	for n := MostHeaders - 15; n <= MostHeaders; n++ {
		first := Record{Topic: names.Events(Batch), Partition: 3, Offset: 40, Time: aTime, Value: []byte(`{"ctx":{}}`),
			Headers: make([]Header, n)}
		copy(first.Headers[n-4:], []Header{{"ce_type", []byte("order")}, {"CE_ID", []byte("a")},
			{"ce_specversion", []byte("1.0")}, {HeaderDue, []byte("2099-01-01T00:00:00.000Z")}})
		event, err := DecodeEvent(first, Batch)
		if err != nil || event.ID != "a" {
			t.Fatal(event.ID, err)
		}
		again := names.Again(Batch, first, event.ID, ReceiptOf(&first))
		letter := names.DeadLetter(Batch, &again, &Fault{Reason: ReasonBadValue}, RoleMatch, aTime)
		original := LetterOf(&letter).Original
		same, err := DecodeEvent(original, Batch)
		if _, due := original.Header(HeaderDue); due || max(len(again.Headers), len(letter.Headers)) > MostHeaders ||
			err != nil || same.ID != "a" || same.Type != event.Type || string(original.Value) != string(first.Value) ||
			ReceiptOf(&original) != (Receipt{1, first.Source(), aTime}) {
			t.Errorf("of %d headers %d, then %d are left: %+v, %v", n, len(again.Headers), len(letter.Headers), same, err)
		}
	}
}

// TestUpstreamCannotRedrive: on an events topic, which any upstream writes, the
// headers of redriven events mean nothing.
func TestUpstreamCannotRedrive(t *testing.T) {
	for _, topic := range []Topic{
		names.Events(Realtime), names.Events(Batch), names.DeliveryLog(Realtime), "", "meddela.redrive.events",
	} {
		r := Record{Topic: topic, Partition: 3, Offset: 40, Time: aTime, Value: []byte(`{"type":"order","ctx":{}}`),
			Headers: []Header{
				{HeaderEventID, []byte("victim")}, {HeaderRedrives, []byte("999999")}, {HeaderSource, []byte("!")},
				{HeaderReceivedAt, []byte("1970-01-01T00:00:00.000Z")},
			}}
		if event, err := DecodeEvent(r, Realtime); err != nil || event.ID != "realtime-3-40" {
			t.Errorf("%s: id %s, %v", topic, event.ID, err)
		}
		if got, want := ReceiptOf(&r), (Receipt{0, r.Source(), aTime}); got != want {
			t.Errorf("%s: receipt %+v, want %+v", topic, got, want)
		}
	}
}

// TestIDsOfPositions are refused wherever an event may have its id: the event at that
// position, which has none, would be taken for a copy.
func TestIDsOfPositions(t *testing.T) {
	position := Record{Topic: names.Events(Realtime), Partition: 1, Offset: 2}
	for _, id := range []string{"realtime-3-5000", "batch-0-0", "realtime-03-5"} {
		for name, r := range map[string]Record{
			"value":      {Value: []byte(`{"id":"` + id + `","type":"order","ctx":{}}`)},
			"binary":     {Value: []byte(`{"type":"order","ctx":{}}`), Headers: []Header{{"ce_id", []byte(id)}}},
			"unreadable": {Value: []byte(`{`), Headers: []Header{{"ce_id", []byte(id)}}},
			"structured": {Value: []byte(`{"specversion":"1.0","id":"` + id + `","type":"a","data":{"ctx":{}}}`)},
		} {
			r.Topic, r.Partition, r.Offset = position.Topic, position.Partition, position.Offset
			event, err := DecodeEvent(r, Realtime)
			fault, _ := errors.AsType[*Fault](err)
			if event.ID != "realtime-1-2" || fault == nil || name != "unreadable" && fault.Reason != ReasonBadID {
				t.Errorf("%s %s: id %s, %v", name, id, event.ID, err)
			}
		}
	}
	for _, id := range []string{"realtime-3", "realtime-3-x", "realtime-3-4-5", "other-3-5", "realtime--5", "realtime"} {
		event, err := DecodeEvent(Record{Value: []byte(`{"id":"` + id + `","type":"order","ctx":{}}`)}, Realtime)
		if err != nil || string(event.ID) != id {
			t.Errorf("%s: id %s, %v", id, event.ID, err)
		}
	}
}

// TestAnEventThatIsPublishedAgainKeepsItsID, however its own has been read meanwhile.
func TestAnEventThatIsPublishedAgainKeepsItsID(t *testing.T) {
	for _, value := range []string{`{"id":"own","type":"order","ctx":{}}`, `{`,
		`{"specversion":"1.0","id":"own","source":"/shop","type":"order","data":{"ctx":{}}}`} {
		r := Record{Topic: "meddela.batch.redrive", Value: []byte(value), Headers: []Header{{HeaderEventID, []byte("first")}}}
		if event, _ := DecodeEvent(r, Realtime); event.ID != "first" {
			t.Errorf("%s: id %s", value, event.ID)
		}
	}
}

func TestHeadersThatAreNoReceipt(t *testing.T) {
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	for _, h := range []Header{
		{HeaderRedrives, []byte("-1")}, {HeaderRedrives, []byte("1000000")}, {HeaderRedrives, []byte("x")},
		{HeaderRedrives, nil},
		{HeaderSource, nil}, {HeaderSource, make([]byte, maxEntryTextBytes+1)},
		{HeaderReceivedAt, []byte("soon")}, {HeaderReceivedAt, nil},
	} {
		r := Record{Topic: "t.redrive", Partition: 1, Offset: 2, Time: at, Headers: []Header{h}}
		if got, want := ReceiptOf(&r), (Receipt{0, "t.redrive/1/2", at}); got != want {
			t.Errorf("%s: %q gives %+v", h.Key, h.Value, got)
		}
	}
	r := Record{Topic: "t.redrive", Partition: 1, Offset: 2, Value: []byte("{}"),
		Headers: []Header{{HeaderEventID, []byte("a b")}}}
	if event, _ := DecodeEvent(r, Batch); event.ID != "batch-1-2" {
		t.Errorf("id %s", event.ID)
	}
}
