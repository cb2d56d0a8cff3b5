package match_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

var now = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// version is one of a template, for the events of a type and channel, in those
// languages, of which the first is its default.
func version(ref topology.TemplateRef, age time.Duration, eventType, channel, when string,
	languages ...string) topology.TemplateRecord {
	name, number := ref.Split()
	r := topology.TemplateRecord{
		Name: name, Version: number, Types: []string{eventType}, Channel: topology.Channel(channel), When: when,
		DefaultLanguage: languages[0], Bodies: make(map[string]map[string]string), PublishedAt: now.Add(-age),
	}
	for _, language := range languages {
		r.Bodies[language] = map[string]string{template.EmailSubject: "Hi", template.EmailText: "Hello"}
		if r.Channel == topology.SMS {
			r.Bodies[language] = map[string]string{template.SMSText: "Hi"}
			r.TTL = topology.Duration(time.Minute)
		}
	}
	return r
}

var templates = func() *catalogue.Catalogue {
	c, err := catalogue.New(
		version("order-new@2", time.Hour, "order", "email", "", "en", "sv"),
		version("order-old@1", 2*time.Hour, "order", "email", "", "sv", "sv-FI", "de"),
		// In the order of preference.
		version("both@1", time.Hour, "choice", "email", `ctx.vip && ctx.total > 100`, "en", "sv"),
		version("vip@1", time.Hour, "choice", "email", `ctx.vip`, "en"),
		version("nordic@1", 2*time.Hour, "choice", "email", `ctx.total > 0`, "sv", "fi"),
		version("plain@1", time.Hour, "choice", "email", "", "en", "fi"),
		version("never@1", time.Hour, "never", "email", `event.country == "XX"`, "en"),
		version("code@1", time.Hour, "code", "sms", "", "en"),
	)
	if err != nil {
		panic(err)
	}
	return c
}()

func TestDecide(t *testing.T) {
	order := topology.Event{Type: "order", Channel: topology.Email}
	code := topology.Event{Type: "code", Channel: topology.SMS}
	with := func(e topology.Event, change func(*topology.Event)) topology.Event {
		change(&e)
		return e
	}
	for _, test := range []struct {
		name     string
		event    topology.Event
		received time.Time
		want     match.Decision
	}{
		{"the newest, in its default language", order, now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en"}},
		{"of equally near languages the newest", with(order, func(e *topology.Event) { e.Language = "sv" }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "sv"}},
		{"an exact language before a newer base language", with(order, func(e *topology.Event) { e.Language = "sv-FI" }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-old@1", Language: "sv-FI"}},
		{"a base language before a newer default", with(order, func(e *topology.Event) { e.Language = "de-AT" }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-old@1", Language: "de"}},
		{"no template for the type", with(order, func(e *topology.Event) { e.Type = "parcel" }), now,
			match.Decision{Status: topology.NotCovered, Reason: topology.ReasonNoTemplateForType}},
		{"a template for the type, but not by this channel", with(order,
			func(e *topology.Event) { e.Channel = topology.Push }), now,
			match.Decision{Status: topology.NotCovered, Reason: topology.ReasonNoTemplateForChannel}},
		{"its validity has ended", with(order, func(e *topology.Event) { e.Expiration = now }), now,
			match.Decision{Status: topology.Expired, Reason: topology.ReasonExpired, Template: "order-new@2", Language: "en",
				Expires: now}},
		{"its validity ends later", with(order, func(e *topology.Event) { e.Expiration = now.Add(1) }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en", Expires: now.Add(1)}},
		{"scheduled for later", with(order, func(e *topology.Event) { e.Scheduled = now.Add(time.Hour) }), now,
			match.Decision{Status: topology.PendingDelivery, Reason: topology.ReasonScheduled, Template: "order-new@2",
				Language: "en"}},
		{"scheduled for no time that comes", with(order, func(e *topology.Event) {
			e.Scheduled = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		}), now, match.Decision{Status: topology.NotCovered, Reason: topology.ReasonInvalid,
			Detail: "bad_value: scheduled: must be within a year"}},
		{"scheduled for a time that has come", with(order, func(e *topology.Event) { e.Scheduled = now }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en"}},
		{"within the template's time to live", code, now.Add(-time.Minute + 1),
			match.Decision{Status: topology.PendingDelivery, Template: "code@1", Language: "en", Expires: now.Add(1)}},
		{"the template's time to live has run out", code, now.Add(-time.Minute),
			match.Decision{Status: topology.Expired, Reason: topology.ReasonExpired, Template: "code@1", Language: "en",
				Expires: now}},
		{"the time to live runs from the scheduled time", with(code,
			func(e *topology.Event) { e.Scheduled = now.Add(time.Hour) }), now.Add(-time.Hour),
			match.Decision{Status: topology.PendingDelivery, Reason: topology.ReasonScheduled, Template: "code@1",
				Language: "en", Expires: now.Add(time.Hour + time.Minute)}},
		{"the event's own end, where that is earlier", with(code,
			func(e *topology.Event) { e.Expiration = now.Add(time.Second) }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "code@1", Language: "en", Expires: now.Add(time.Second)}},
		{"a language that is none costs no message", with(order,
			func(e *topology.Event) { e.Language = "Swedish, I think" }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en",
				Detail: "the event's language is none: the default is used"}},
		{"nor does one that was not read", with(order,
			func(e *topology.Event) { e.Language = topology.UnknownLanguage }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en",
				Detail: "the event's language is none: the default is used"}},
		{"a language without a body", with(order, func(e *topology.Event) { e.Language = "ja" }), now,
			match.Decision{Status: topology.PendingDelivery, Template: "order-new@2", Language: "en"}},
		{"no condition holds", with(order, func(e *topology.Event) { e.Type = "never" }), now,
			match.Decision{Status: topology.NotCovered, Reason: topology.ReasonConditionsFalse}},
	} {
		if got := match.Decide(&test.event, test.received, templates, now, nil); got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

// TestChoiceAmongConditions: the language comes first, then the order of
// preference; the first whose condition holds is chosen.
func TestChoiceAmongConditions(t *testing.T) {
	for _, test := range []struct {
		language, ctx string
		want          topology.TemplateRef
		body          string
		tried         string
		detail        string
	}{
		{"en", `{"vip":true,"total":500}`, "both@1", "en", "both", ""},
		{"en", `{"vip":true,"total":5}`, "vip@1", "en", "both vip", ""},
		{"en", `{"vip":false,"total":5}`, "plain@1", "en", "both vip plain", ""},
		{"sv-FI", `{"vip":true,"total":500}`, "both@1", "sv", "both", ""},
		{"sv-FI", `{"vip":true,"total":5}`, "nordic@1", "sv", "both nordic", ""},
		{"fi", `{"vip":true,"total":500}`, "nordic@1", "fi", "nordic", ""},
		{"fi", `{"vip":true,"total":-1}`, "plain@1", "fi", "nordic plain", ""},
		{"de", `{"vip":true,"total":-1}`, "vip@1", "en", "both vip", ""},
		{"", `{"vip":false,"total":-1}`, "plain@1", "en", "both vip nordic plain", ""},
		{"en", `{"total":5}`, "", "", "both vip", "the condition of vip@1: 1:4: ctx.vip is missing: ask with has(ctx.vip)"},
		{"en", `{"vip":true,"total":"5"}`, "", "", "both",
			"the condition of both@1: 1:22: > was given values that do not fit, such as a text and a number"},
		{"fi", `{}`, "", "", "nordic", "the condition of nordic@1: 1:4: ctx.total is missing: ask with has(ctx.total)"},
	} {
		event := topology.Event{Type: "choice", Channel: topology.Email, Language: test.language, Ctx: []byte(test.ctx)}
		want := match.Decision{Status: topology.PendingDelivery, Template: test.want, Language: test.body}
		if test.want == "" {
			want = match.Decision{Status: topology.NotCovered, Reason: topology.ReasonConditionFailed, Detail: test.detail}
		}
		var trace match.Trace
		got := match.Decide(&event, now, templates, now, &trace)
		if got != want {
			t.Errorf("%s %s:\n got %+v\nwant %+v", test.language, test.ctx, got, want)
		}
		if again := match.Decide(&event, now, templates, now, nil); again != got {
			t.Errorf("%s %s: traced %+v, and not traced %+v", test.language, test.ctx, got, again)
		}
		var tried []string
		for _, ref := range trace {
			name, _ := ref.Split()
			tried = append(tried, name)
		}
		if got := strings.Join(tried, " "); got != test.tried {
			t.Errorf("%s %s: tried %s; want %s", test.language, test.ctx, got, test.tried)
		}
	}
}

// TestAFailingConditionHarmsNoOtherEvent.
func TestAFailingConditionHarmsNoOtherEvent(t *testing.T) {
	out := handle(t, strings.Replace(good, "%", "1",
		1), `{"id":"bad","type":"choice","email":"k@example.com","ctx":{"vip":7}}`, strings.Replace(good, "%", "2", 1))
	wantGood(t, out[:2], "good-1")
	wantGood(t, out[3:], "good-2")
	entry, err := topology.DecodeEntry(out[2].Value)
	if err != nil || entry.Status != topology.NotCovered || entry.Reason != topology.ReasonConditionFailed ||
		entry.Detail == "" {
		t.Errorf("entry %+v, %v", entry, err)
	}
}

var names = topology.Topics{Prefix: topology.DefaultPrefix}

func handle(t testing.TB, values ...string) []topology.Record {
	t.Helper()
	var records []topology.Record
	for i, value := range values {
		r := topology.Record{
			Topic: names.Events(topology.Realtime), Partition: 3, Offset: int64(40 + i), Time: now,
			Value: []byte(value),
			Headers: []topology.Header{
				{Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
				{Key: "other", Value: nil}},
		}
		if value == "null" {
			r.Value = nil
		}
		records = append(records, r)
	}
	h := match.Handler{
		Lane: topology.Realtime, Names: names,
		Catalogue: func() *catalogue.Catalogue { return templates },
		Now:       func() time.Time { return now },
	}
	result, err := h.Handle(context.Background(), consumer.Batch{
		Topic: names.Events(topology.Realtime), Partition: 3, Records: records,
	})
	if err != nil || result.Handled != len(records) {
		t.Fatalf("handled %d of %d, %v", result.Handled, len(records), err)
	}
	return result.Out
}

const good = `{"id":"good-%","type":"order","email":"kim@example.com","language":"sv","ctx":{"n":1}}`

func TestAnEventBecomesAJobAndAnEntry(t *testing.T) {
	value := strings.Replace(good, "%", "1", 1)
	out := handle(t, value)
	if len(out) != 2 || out[0].Topic != names.Jobs(topology.Realtime) ||
		out[1].Topic != names.DeliveryLog(topology.Realtime) {
		t.Fatalf("got %d records, want a job and an entry", len(out))
	}
	job, err := topology.DecodeJob(out[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if job.JobID != topology.JobIDOf("good-1", 0) || job.To != "kim@example.com" || job.Template != "order-new@2" ||
		job.Language != "sv" || job.Attempt != 1 || string(job.Event) != value ||
		job.Source != "meddela.realtime.events/3/40" {
		t.Errorf("job %+v", job)
	}
	entry, err := topology.DecodeEntry(out[1].Value)
	if err != nil {
		t.Fatal(err)
	}
	if entry.Status != topology.PendingDelivery || entry.JobID != job.JobID || entry.Attempt != 0 || !entry.At.Equal(now) {
		t.Errorf("entry %+v", entry)
	}
	for _, r := range out {
		channel, isJob := r.Header(topology.HeaderChannel)
		if string(r.Key) != "good-1" || r.Headers[0].Key != "traceparent" ||
			isJob != (r.Topic == names.Jobs(topology.Realtime)) || isJob && string(channel) != "email" {
			t.Errorf("%s: key %q, headers %v", r.Topic, r.Key, r.Headers)
		}
		if r.Topic != names.Jobs(topology.Realtime) && strings.Contains(string(r.Value), "kim@") {
			t.Errorf("%s holds the address", r.Topic)
		}
	}
}

// TestAnEventPublishedAgain: it is the same event, received when it was first,
// and its message another one.
func TestAnEventPublishedAgain(t *testing.T) {
	first := topology.Receipt{Redrives: 1, Source: "meddela.realtime.events/0/7", At: now.Add(-time.Second)}
	record := names.Again(topology.Realtime, topology.Record{Partition: 3, Offset: 40, Time: now,
		Value: []byte(`{"type":"code","channel":"sms","mobilePhone":"+4670","ctx":{}}`)}, "event-7", first)
	h := match.Handler{
		Lane: topology.Realtime, Names: names,
		Catalogue: func() *catalogue.Catalogue { return templates },
		Now:       func() time.Time { return now },
	}
	result, err := h.Handle(context.Background(), consumer.Batch{Records: []topology.Record{record}})
	if err != nil || len(result.Out) != 2 {
		t.Fatalf("%d records, %v", len(result.Out), err)
	}
	job, err := topology.DecodeJob(result.Out[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if job.EventID != "event-7" || job.Redrives != 2 || job.JobID != topology.JobIDOf("event-7", 2) ||
		job.Source != first.Source || !job.ReceivedAt.Equal(first.At) || !job.Expires.Equal(first.At.Add(time.Minute)) {
		t.Errorf("job %+v", job)
	}
	entry, err := topology.DecodeEntry(result.Out[1].Value)
	if err != nil {
		t.Fatal(err)
	}
	if entry.EventID != "event-7" || entry.Redrives != 2 || entry.Source != first.Source ||
		!entry.ReceivedAt.Equal(first.At) {
		t.Errorf("entry %+v", entry)
	}
}

// TestAnEventReadAgainLater: whether the job of the first reading was published or not, the event comes to rest.
func TestAnEventReadAgainLater(t *testing.T) {
	event := topology.Event{ID: "e", Type: "code", Channel: topology.SMS, To: "+4670", Expiration: now.Add(time.Second)}
	var read []topology.State
	for _, at := range []time.Time{now, now.Add(time.Minute)} {
		h := match.Handler{
			Lane: topology.Realtime, Names: names,
			Catalogue: func() *catalogue.Catalogue { return templates },
			Now:       func() time.Time { return at },
		}
		record := topology.Record{Time: now, Value: event.Append(nil)}
		result, err := h.Handle(t.Context(), consumer.Batch{Records: []topology.Record{record}})
		if err != nil {
			t.Fatal(err)
		}
		entry, err := topology.DecodeEntry(result.Out[len(result.Out)-1].Value)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, topology.StateOf(&entry))
	}
	if read[0].Status != topology.PendingDelivery || read[1].Status != topology.Expired {
		t.Fatalf("read as %s, then %s", read[0].Status, read[1].Status)
	}
	sent := topology.StateOf(&topology.Entry{EventID: "e", Attempt: 1, Status: topology.Sent, At: now})
	for _, c := range []struct {
		states []topology.State
		want   topology.Status
	}{
		{[]topology.State{read[0], read[1]}, topology.Expired}, {[]topology.State{read[1], read[0]}, topology.Expired},
		{[]topology.State{read[0], sent, read[1]}, topology.Sent}, {[]topology.State{read[0], read[1], sent}, topology.Sent},
	} {
		var s topology.State
		for _, o := range c.states {
			s.Merge(&o)
		}
		if s.Status != c.want {
			t.Errorf("%v are %s, want %s", c.states, s.Status, c.want)
		}
	}
}

// TestAJobWaitsNoLongerThanItIsValid: then it is known at once that it has expired.
func TestAJobWaitsNoLongerThanItIsValid(t *testing.T) {
	h := match.Handler{
		Lane: topology.Realtime, Names: names,
		Catalogue: func() *catalogue.Catalogue { return templates },
		Now:       func() time.Time { return now },
	}
	for expiration, want := range map[time.Time]time.Time{
		now.Add(time.Hour): now.Add(time.Hour), now.Add(96 * time.Hour): now.Add(48 * time.Hour),
	} {
		event := topology.Event{ID: "e", Type: "code", Channel: topology.SMS, To: "+4670",
			Scheduled: now.Add(48 * time.Hour), Expiration: expiration}
		result, err := h.Handle(t.Context(), consumer.Batch{Records: []topology.Record{{Value: event.Append(nil)}}})
		if err != nil || len(result.Out) != 2 {
			t.Fatalf("%d records, %v", len(result.Out), err)
		}
		if due, _ := result.Out[0].Header(topology.HeaderDue); string(due) != want.Format(topology.TimeFormat) {
			t.Errorf("valid until %v it waits until %s; want %v", expiration, due, want)
		}
		if e, err := topology.DecodeEntry(result.Out[1].Value); err != nil || !e.Due.Equal(want) {
			t.Errorf("the log says that it is due at %v; want %v; %v", e.Due, want, err)
		}
	}
}

// TestUpstreamCannotRedrive: whatever upstream says in an operator's headers, an event
// makes the same job, for the same message.
func TestUpstreamCannotRedrive(t *testing.T) {
	h := match.Handler{
		Lane: topology.Realtime, Names: names,
		Catalogue: func() *catalogue.Catalogue { return templates },
		Now:       func() time.Time { return now },
	}
	record := topology.Record{Topic: names.Events(topology.Realtime), Partition: 3, Offset: 40, Time: now,
		Value: []byte(`{"id":"victim","type":"code","channel":"sms","mobilePhone":"+4670","ctx":{}}`)}
	plain, err := h.Handle(t.Context(), consumer.Batch{Records: []topology.Record{record}})
	if err != nil || len(plain.Out) != 2 {
		t.Fatalf("%d records, %v", len(plain.Out), err)
	}
	record.Headers = names.Again(topology.Realtime, record, "other",
		topology.Receipt{Redrives: 999_998, Source: "!", At: time.Unix(0, 0)}).Headers
	forged, err := h.Handle(t.Context(), consumer.Batch{Records: []topology.Record{record}})
	if err != nil || !reflect.DeepEqual(forged, plain) {
		t.Errorf("%+v, %v; want %+v", forged, err, plain)
	}
}

// TestEventsOfTwoSources with one id are two messages; the same one twice is one.
func TestEventsOfTwoSources(t *testing.T) {
	of := func(source string) string {
		return `{"specversion":"1.0","id":"1001","source":"` + source + `","type":"code","data":{"channel":"sms","mobilePhone":"+4670","ctx":{}}}`
	}
	jobs := map[topology.JobID]int{}
	for _, r := range handle(t, of("/shop"), of("/billing"), of("/shop")) {
		if r.Topic == names.Jobs(topology.Realtime) {
			job, err := topology.DecodeJob(r.Value)
			if err != nil || string(r.Key) != string(job.EventID) {
				t.Errorf("%s: %v", r.Key, err)
			}
			jobs[job.JobID]++
		}
	}
	want := map[topology.JobID]int{topology.JobIDOf("/shop#1001", 0): 2, topology.JobIDOf("/billing#1001", 0): 1}
	if !reflect.DeepEqual(jobs, want) {
		t.Errorf("jobs %v, want %v", jobs, want)
	}
}

// TestWhatWasAroundAnEvent is not in its job, and is in its dead letter.
func TestWhatWasAroundAnEvent(t *testing.T) {
	const frame, event = "\x00\x00\x00\x00\x2a", `{"id":"e","type":"code","channel":"sms","mobilePhone":"+4670","ctx":{}}`
	out := handle(t, frame+event, frame+"\x02e")
	job, err := topology.DecodeJob(out[0].Value)
	if err != nil || string(job.Event) != event {
		t.Errorf("job %+v, %v", job, err)
	}
	if why, _ := out[2].Header(topology.HeaderError); string(out[2].Value) != frame+"\x02e" ||
		!strings.HasPrefix(string(why), "the value is Avro of a schema registry (id 42): ") {
		t.Errorf("dead letter %q: %s", out[2].Value, why)
	}
}

// TestBadInput: each bad event ends where the design says, and the good ones
// before and after it in the batch are untouched.
func TestBadInput(t *testing.T) {
	const position = topology.EventID("realtime-3-41")
	deep := `{"id":"bad","type":"order","ctx":` + strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500) + `}`
	for _, test := range []struct {
		name, value string
		letter      topology.Reason  // of the dead letter; none when empty
		id          topology.EventID // of the entry; none when empty
		status      topology.Status
		reason      topology.Reason
	}{
		{"not JSON", `hello`, topology.ReasonNotJSON, position, topology.NotCovered, topology.ReasonInvalid},
		{"an array", `[1]`, topology.ReasonNotJSON, position, topology.NotCovered, topology.ReasonInvalid},
		{"cut off", `{"id":"bad","type":"order"`, topology.ReasonNotJSON, position, topology.NotCovered,
			topology.ReasonInvalid},
		{"null value", `null`, topology.ReasonNullValue, position, topology.NotCovered, topology.ReasonInvalid},
		{"bad UTF-8", "{\"id\":\"bad\",\"type\":\"\xff\",\"ctx\":{}}", topology.ReasonNotUTF8, position, topology.NotCovered,
			topology.ReasonInvalid},
		{"deep nesting", deep, topology.ReasonTooDeep, position, topology.NotCovered, topology.ReasonInvalid},
		{"no type", `{"id":"bad","ctx":{}}`, topology.ReasonMissingField, "bad", topology.NotCovered, topology.ReasonInvalid},
		{"no ctx", `{"id":"bad","type":"order"}`, topology.ReasonMissingField, "bad", topology.NotCovered,
			topology.ReasonInvalid},
		{"type is a number", `{"id":"bad","type":7,"ctx":{}}`, topology.ReasonWrongType, "bad", topology.NotCovered,
			topology.ReasonInvalid},
		{"ctx is a string", `{"id":"bad","type":"order","ctx":"x"}`, topology.ReasonWrongType, "bad", topology.NotCovered,
			topology.ReasonInvalid},
		{"another's position", `{"id":"realtime-3-5000","type":"order","ctx":{}}`, topology.ReasonBadID, position,
			topology.NotCovered, topology.ReasonInvalid},
		{"unknown channel", `{"id":"bad","type":"order","channel":"pigeon","ctx":{}}`, topology.ReasonUnknownChannel, "bad",
			topology.NotCovered, topology.ReasonInvalid},
		{"bad time", `{"id":"bad","type":"order","expiration":"soon","ctx":{}}`, topology.ReasonBadValue, "bad",
			topology.NotCovered, topology.ReasonInvalid},
		{"forbidden characters in the id", `{"id":"a b","type":"order","ctx":{}}`, topology.ReasonBadID, position,
			topology.NotCovered, topology.ReasonInvalid},
		{"no id", `{"type":"order","email":"k@example.com","ctx":{}}`, "", position, topology.PendingDelivery, ""},
		{"no address", `{"id":"bad","type":"order","ctx":{}}`, "", "bad", topology.PendingDelivery, ""},
		{"1 MB of ctx", `{"id":"bad","type":"order","ctx":{"x":"` + strings.Repeat("y", 1_000_000) + `"}}`, "", "bad",
			topology.PendingDelivery, ""},
		{"the same id again", strings.Replace(good, "%", "1", 1), "", "good-1", topology.PendingDelivery, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := handle(t, strings.Replace(good, "%", "1", 1), test.value, strings.Replace(good, "%", "2", 1))
			wantGood(t, out[:2], "good-1")
			wantGood(t, out[len(out)-2:], "good-2")
			var letters, entries []topology.Record
			for _, r := range out[2 : len(out)-2] {
				switch r.Topic {
				case names.DeadLetters(topology.Realtime):
					letters = append(letters, r)
				case names.DeliveryLog(topology.Realtime):
					entries = append(entries, r)
				}
			}
			checkLetter(t, letters, test.letter, test.value)
			checkEntry(t, entries, test.id, test.status, test.reason)
		})
	}
}

func wantGood(t *testing.T, out []topology.Record, id string) {
	t.Helper()
	if out[0].Topic != names.Jobs(topology.Realtime) || string(out[0].Key) != id || string(out[1].Key) != id {
		t.Errorf("the neighbour %s became %s %q", id, out[0].Topic, out[0].Key)
	}
}

func checkLetter(t *testing.T, letters []topology.Record, reason topology.Reason, value string) {
	t.Helper()
	if reason == "" {
		if len(letters) > 0 {
			t.Errorf("became a dead letter: %v", letters[0].Headers)
		}
		return
	}
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	if got, _ := letters[0].Header(topology.HeaderReason); topology.Reason(got) != reason {
		detail, _ := letters[0].Header(topology.HeaderError)
		t.Errorf("the dead letter's reason is %s (%s), want %s", got, detail, reason)
	}
	if offset, _ := letters[0].Header(topology.HeaderOriginalOffset); string(offset) != "41" {
		t.Errorf("the dead letter's offset is %s", offset)
	}
	if value != "null" && string(letters[0].Value) != value {
		t.Errorf("the dead letter's bytes are not the record's")
	}
}

func checkEntry(t *testing.T, entries []topology.Record, id topology.EventID, status topology.Status,
	reason topology.Reason) {
	t.Helper()
	if id == "" {
		if len(entries) > 0 {
			t.Errorf("has an entry: %s", entries[0].Value)
		}
		return
	}
	if len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	entry, err := topology.DecodeEntry(entries[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if entry.EventID != id || entry.Status != status || entry.Reason != reason {
		t.Errorf("entry about %s: %s %s; want %s: %s %s", entry.EventID, entry.Status, entry.Reason, id, status, reason)
	}
}

func BenchmarkHandle(b *testing.B) {
	value := `{"id":"01JD8Q3Z5X6P7R8S9T0V1W2X3Y","type":"order","email":"kim@example.com","language":"sv-FI","ctx":{"x":"` +
		strings.Repeat("0123456789", 90) + `"}}`
	values := make([]string, 250)
	for i := range values {
		values[i] = value
	}
	b.ReportAllocs()
	for b.Loop() {
		handle(b, values...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/event")
}
