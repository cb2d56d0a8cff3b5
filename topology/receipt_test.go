package topology

import (
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
		record = record.Again(event.ID, ReceiptOf(&record))
		record.Offset, record.Time = 1000, first.Time.AddDate(0, 0, redrives)
		again, err := DecodeEvent(record, Realtime)
		if err != nil || again.ID != event.ID {
			t.Errorf("redrives %d has the id %s, %v; want %s", redrives, again.ID, err, event.ID)
		}
		if got, want := ReceiptOf(&record), (Receipt{redrives, receipt.Source, receipt.At}); got != want {
			t.Errorf("receipt %+v, want %+v", got, want)
		}
		if len(record.Headers) != 5 || record.Headers[0].Key != "traceparent" {
			t.Errorf("headers %v", record.Headers)
		}
	}
	if len(first.Headers) != 1 {
		t.Error("publishing again changes the first record")
	}
}

func TestAnEventsOwnIDWinsOverTheHeader(t *testing.T) {
	r := Record{Value: []byte(`{"id":"own","type":"order","ctx":{}}`), Headers: []Header{{HeaderEventID, []byte("other")}}}
	if event, err := DecodeEvent(r, Realtime); err != nil || event.ID != "own" {
		t.Errorf("id %s, %v", event.ID, err)
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
		r := Record{Topic: "t", Partition: 1, Offset: 2, Time: at, Headers: []Header{h}}
		if got, want := ReceiptOf(&r), (Receipt{0, "t/1/2", at}); got != want {
			t.Errorf("%s: %q gives %+v", h.Key, h.Value, got)
		}
	}
	r := Record{Partition: 1, Offset: 2, Value: []byte("{}"), Headers: []Header{{HeaderEventID, []byte("a b")}}}
	if event, _ := DecodeEvent(r, Batch); event.ID != "batch-1-2" {
		t.Errorf("id %s", event.ID)
	}
}
