package topology

import (
	"strings"
	"testing"
	"time"
)

// anEvent is an event of about 1 KB, as a web shop sends it.
var anEvent = []byte(`{"id":"01JD8Q3Z5X6P7R8S9T0V1W2X3Y","type":"order_confirmation","channel":"email",` +
	`"email":"kim@example.com","language":"sv-FI","country":"FI","origin":"webshop","externalId":"cust-8814",` +
	`"correlationId":"c-1","scheduled":"2026-12-01T08:00:00.000Z","expiration":"2026-12-01T20:00:00.000Z",` +
	`"ctx":{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"EUR","lines":[` +
	strings.Repeat(`{"sku":"12345","name":"A thing of beauty","quantity":2,"price":"12.50"},`, 8) +
	`{"sku":"1"}]}}}`)

var aTime = time.Date(2026, 12, 1, 7, 59, 58, 123e6, time.UTC)

func aJob() Job {
	return Job{
		JobID: JobIDOf("01JD8Q3Z5X6P7R8S9T0V1W2X3Y", 0), EventID: "01JD8Q3Z5X6P7R8S9T0V1W2X3Y",
		Lane: Realtime, Attempt: 1, Template: "order_confirmation@3f2a9c1b", Type: "order_confirmation",
		Channel: Email, To: "kim@example.com", Language: "sv", NotBefore: aTime, Expires: aTime.Add(time.Hour),
		ReceivedAt: aTime, Source: "meddela.realtime.events/3/114", Event: anEvent,
	}
}

func anEntry() Entry {
	j := aJob()
	e := EntryOf(&j, DeliveryError, ReasonProviderRejected, aTime.Add(time.Second))
	e.Detail, e.Provider, e.ProviderMessageID = "550 no such mailbox", "smtp-1", "<0a1b2c@mta.example.com>"
	return e
}

func BenchmarkDecodeEvent(b *testing.B) {
	record := Record{Value: anEvent, Partition: 3, Offset: 114}
	b.SetBytes(int64(len(anEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(record, Realtime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCloudEvent(b *testing.B) {
	for name, record := range map[string]Record{
		"binary": {Value: anEvent, Headers: []Header{
			{"content-type", []byte("application/json")},
			{"ce_specversion", []byte("1.0")},
			{"ce_id", []byte("01JD8Q3Z5X6P7R8S9T0V1W2X3Y")},
			{"ce_type", []byte("order_confirmation")},
			{"ce_source", []byte("webshop")},
		}},
		"framed": {Value: append([]byte{0, 0, 0, 0, 42}, anEvent...)},
		"structured": {Value: []byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data":` + string(anEvent) +
			`}`)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeEvent(record, Realtime); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckJSON(b *testing.B) {
	b.SetBytes(int64(len(anEvent)))
	b.ReportAllocs()
	for b.Loop() {
		if f := walk(anEvent, eventLimits, func([]byte, wireValue) {}); f != nil {
			b.Fatal(f)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e, err := DecodeEvent(Record{Value: anEvent}, Realtime)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkAppend(b, e.Append)
}

func BenchmarkAppendJob(b *testing.B) {
	j := aJob()
	benchmarkAppend(b, j.Append)
}

func BenchmarkAppendEntry(b *testing.B) {
	e := anEntry()
	benchmarkAppend(b, e.Append)
}

func benchmarkAppend(b *testing.B, appendTo func([]byte) []byte) {
	buffer := appendTo(nil)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = appendTo(buffer[:0])
	}
}

func benchmarkDecode[T any](b *testing.B, value []byte, decode func([]byte) (T, error)) {
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeJob(b *testing.B) {
	j := aJob()
	benchmarkDecode(b, j.Append(nil), DecodeJob)
}

func BenchmarkDecodeEntry(b *testing.B) {
	e := anEntry()
	benchmarkDecode(b, e.Append(nil), DecodeEntry)
}

func BenchmarkStateOf(b *testing.B) {
	e := anEntry()
	b.ReportAllocs()
	for b.Loop() {
		s := StateOf(&e)
		s.Merge(&s)
	}
}
