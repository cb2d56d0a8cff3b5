package topology

import (
	"strings"
	"time"

	"pgregory.net/rapid"
)

// Generators of records. Texts are any valid UTF-8; times have milliseconds.

var (
	genID   = rapid.StringMatching(`[A-Za-z0-9._:-]{1,128}|[a-z/?#~%]{1,20}#[a-z/%]{1,20}`)
	genText = rapid.StringN(0, 60, 500)
	genWord = rapid.Map(rapid.StringMatching(`[^\x00-\x1f\x7f]{0,30}`), func(word string) string {
		return strings.TrimFunc(word, IsUnseen)
	})
)

func genTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.IntRange(0, 4).Draw(t, "none") == 0 {
			return time.Time{}
		}
		return genSomeTime().Draw(t, "time")
	})
}

// genSomeTime makes times from the year 2 to 9998.
func genSomeTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(-62_000_000_000_000, 253_000_000_000_000).Draw(t, "millis")).UTC()
	})
}

func genEvent() *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		e := Event{
			ID:            EventID(genID.Draw(t, "id")),
			Type:          "t" + genWord.Draw(t, "type"),
			Channel:       rapid.SampledFrom(Channels()).Draw(t, "channel"),
			Language:      genWord.Draw(t, "language"),
			Country:       genWord.Draw(t, "country"),
			Timezone:      genWord.Draw(t, "timezone"),
			Origin:        genWord.Draw(t, "origin"),
			ExternalID:    genWord.Draw(t, "externalId"),
			CorrelationID: genWord.Draw(t, "correlationId"),
			Scheduled:     genTime().Draw(t, "scheduled"),
			Expiration:    genTime().Draw(t, "expiration"),
			Ctx:           []byte(rapid.SampledFrom([]string{`{}`, `{"a": [1, {"b": null}]}`}).Draw(t, "ctx")),
		}
		if e.Channel != Webhook {
			e.To = genWord.Draw(t, "to")
		}
		return e
	})
}

func genJob() *rapid.Generator[Job] {
	return rapid.Custom(func(t *rapid.T) Job {
		return Job{
			JobID:      JobID(genID.Draw(t, "job_id")),
			EventID:    EventID(genID.Draw(t, "event_id")),
			Lane:       rapid.SampledFrom(Lanes()).Draw(t, "lane"),
			Redrives:   rapid.IntRange(0, MaxRedrives).Draw(t, "generation"),
			Attempt:    rapid.IntRange(1, MaxAttempt).Draw(t, "attempt"),
			Template:   TemplateRef("t@" + genText.Draw(t, "template")),
			Type:       "t" + genText.Draw(t, "type"),
			Channel:    rapid.SampledFrom(Channels()).Draw(t, "channel"),
			To:         genText.Draw(t, "to"),
			Language:   genText.Draw(t, "language"),
			NotBefore:  genTime().Draw(t, "not_before"),
			Expires:    genTime().Draw(t, "expires"),
			ReceivedAt: genTime().Draw(t, "received_at"),
			Source:     Source(genText.Draw(t, "source")),
			Key:        genText.Draw(t, "key"),
			Event:      []byte(`{"type":"t","ctx":{ "a" : [ ] }}`),
		}
	})
}

func genEntry() *rapid.Generator[Entry] {
	return rapid.Custom(func(t *rapid.T) Entry {
		return Entry{
			EventID:           EventID(genID.Draw(t, "event_id")),
			JobID:             JobID(genID.Draw(t, "job_id")),
			Lane:              rapid.SampledFrom(append(Lanes(), "")).Draw(t, "lane"),
			Redrives:          rapid.IntRange(0, MaxRedrives).Draw(t, "generation"),
			Attempt:           rapid.IntRange(0, MaxAttempt).Draw(t, "attempt"),
			Status:            rapid.SampledFrom(Statuses()).Draw(t, "status"),
			Reason:            rapid.SampledFrom(Reasons()).Draw(t, "reason"),
			Detail:            genText.Draw(t, "detail"),
			Type:              genText.Draw(t, "type"),
			Channel:           rapid.SampledFrom(append(Channels(), "")).Draw(t, "channel"),
			Language:          genText.Draw(t, "language"),
			Template:          TemplateRef(genText.Draw(t, "template")),
			Provider:          genText.Draw(t, "provider"),
			ProviderMessageID: genText.Draw(t, "provider_message_id"),
			Source:            Source(genText.Draw(t, "source")),
			ReceivedAt:        genTime().Draw(t, "received_at"),
			At:                genSomeTime().Draw(t, "at"),
			Due:               genTime().Draw(t, "due"),
		}
	})
}

// genRival makes entries about one event that often agree in part, so that
// every step of their order decides now and then.
func genRival() *rapid.Generator[Entry] {
	return rapid.Custom(func(t *rapid.T) Entry {
		return Entry{
			EventID:           "e",
			Source:            Source(rapid.SampledFrom([]string{"", "t/0/1", "t/0/2"}).Draw(t, "source")),
			Lane:              rapid.SampledFrom(append(Lanes(), "")).Draw(t, "lane"),
			Type:              rapid.SampledFrom([]string{"", "order", "parcel"}).Draw(t, "type"),
			Channel:           rapid.SampledFrom([]Channel{"", Email, SMS}).Draw(t, "channel"),
			Redrives:          rapid.IntRange(0, 2).Draw(t, "generation"),
			Attempt:           rapid.IntRange(0, 2).Draw(t, "attempt"),
			Status:            rapid.SampledFrom(Statuses()).Draw(t, "status"),
			Reason:            rapid.SampledFrom([]Reason{"", ReasonTransient}).Draw(t, "reason"),
			Detail:            rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "detail"),
			Template:          TemplateRef(rapid.SampledFrom([]string{"", "t@1"}).Draw(t, "template")),
			Provider:          rapid.SampledFrom([]string{"", "a"}).Draw(t, "provider"),
			ProviderMessageID: rapid.SampledFrom([]string{"", "a"}).Draw(t, "provider_message_id"),
			ReceivedAt: rapid.SampledFrom([]time.Time{{}, aTime, aTime.Add(-time.Hour),
				time.UnixMilli(maxMillis + 1)}).Draw(t, "received_at"),
			At: rapid.SampledFrom([]time.Time{
				aTime, aTime.Add(time.Nanosecond), aTime.Add(time.Millisecond), aTime.Add(time.Hour),
				aTime.In(time.FixedZone("", 3600)),
				{}, time.Unix(-1, 0), time.UnixMilli(maxMillis), time.UnixMilli(maxMillis + 1), time.UnixMilli(maxMillis + 2),
			}).Draw(t, "at"),
		}
	})
}

func genState() *rapid.Generator[State] {
	return rapid.Custom(func(t *rapid.T) State {
		var folded State
		for _, e := range rapid.SliceOfN(genRival(), 1, 3).Draw(t, "entries") {
			s := StateOf(&e)
			s.Scheduled = rapid.SampledFrom([]time.Time{{}, aTime, aTime.Add(time.Hour)}).Draw(t, "scheduled")
			folded.EventID = e.EventID
			folded.Merge(&s)
		}
		return folded
	})
}
