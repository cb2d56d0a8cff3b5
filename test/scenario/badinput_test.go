package scenario

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// badInput is one record that is not as it should be.
type badInput struct {
	name    string
	value   string // @ stands for the event's id; nothing is null
	headers []string
	letter  topology.Reason // of the dead letter; none when empty
	outcome string
	byPlace bool // the event goes by its position
}

// almostTooLarge is what a record's value may have with a broker's default
// settings, less some bytes for the key and the headers.
const almostTooLarge = topology.MaxEventBytes - 200

// badInputs are the records of TestBadInput.
func badInputs() []badInput {
	const invalid = "not_covered/invalid"
	const head = `{"id":"@","type":"order_confirmation","email":"kim@mail.` + recipientDomain + `"`
	const ctx = `"ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}`
	const whole = head + `,` + ctx + `}}`
	fill := func(before, after string) string {
		return before + strings.Repeat("x", almostTooLarge-len(before)-len(after)-20) + after
	}
	deep := func(n int) string {
		return head + `,` + ctx + `,"deep":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + `}}`
	}
	return []badInput{
		{name: "text", value: `hello`, letter: topology.ReasonNotJSON, outcome: invalid, byPlace: true},
		{name: "cut-off", value: `{"id":"@","type":"order_confirmation"`, letter: topology.ReasonNotJSON, outcome: invalid,
			byPlace: true},
		{name: "more-behind", value: whole + `}`, letter: topology.ReasonNotJSON, outcome: invalid, byPlace: true},
		{name: "array", value: `[1,2]`, letter: topology.ReasonNotJSON, outcome: invalid, byPlace: true},
		{name: "null", letter: topology.ReasonNullValue, outcome: invalid, byPlace: true},
		{name: "byte-order-mark", value: "\ufeff" + whole, outcome: "sent"},
		{name: "not-utf8", value: "{\"id\":\"@\",\"type\":\"\xff\xfe\",\"ctx\":{}}", letter: topology.ReasonNotUTF8,
			outcome: invalid, byPlace: true},
		{name: "control-characters", value: "{\"id\":\"@\",\"type\":\"a\x00b\",\"ctx\":{}}", letter: topology.ReasonNotJSON,
			outcome: invalid, byPlace: true},
		{name: "deep", value: deep(150_000), letter: topology.ReasonTooDeep, outcome: invalid, byPlace: true},
		{name: "large-text", value: fill(`no JSON: `, ``), letter: topology.ReasonNotJSON, outcome: invalid, byPlace: true},

		{name: "no-type", value: `{"id":"@","ctx":{}}`, letter: topology.ReasonMissingField, outcome: invalid},
		{name: "no-ctx", value: `{"id":"@","type":"order_confirmation"}`, letter: topology.ReasonMissingField,
			outcome: invalid},
		{name: "type-number", value: `{"id":"@","type":7,"ctx":{}}`, letter: topology.ReasonWrongType, outcome: invalid},
		{name: "ctx-text", value: `{"id":"@","type":"order_confirmation","ctx":"x"}`, letter: topology.ReasonWrongType,
			outcome: invalid},
		{name: "ctx-array", value: `{"id":"@","type":"order_confirmation","ctx":[]}`, letter: topology.ReasonWrongType,
			outcome: invalid},
		{name: "email-object", value: `{"id":"@","type":"order_confirmation","email":{},` + ctx + `}}`,
			letter: topology.ReasonWrongType, outcome: invalid},
		{name: "bad-time", value: head + `,"expiration":"soon",` + ctx + `}}`, letter: topology.ReasonBadValue,
			outcome: invalid},
		{name: "unknown-channel", value: head + `,"channel":"pigeon",` + ctx + `}}`, letter: topology.ReasonUnknownChannel,
			outcome: invalid},
		{name: "other-specversion", value: whole, headers: []string{"ce_specversion=0.3"}, letter: topology.ReasonBadValue,
			outcome: invalid},
		{name: "spaced-id", value: `{"id":"a b","type":"order_confirmation",` + ctx + `}}`, letter: topology.ReasonBadID,
			outcome: invalid, byPlace: true},
		{name: "star-id", value: `{"id":"event:*","type":"order_confirmation",` + ctx + `}}`, letter: topology.ReasonBadID,
			outcome: invalid, byPlace: true},
		{name: "number-id", value: `{"id":7,"type":"order_confirmation",` + ctx + `}}`, letter: topology.ReasonWrongType,
			outcome: invalid, byPlace: true},
		{name: "long-id", value: `{"id":"` + strings.Repeat("i", 129) + `","type":"order_confirmation",` + ctx + `}}`,
			letter: topology.ReasonBadID, outcome: invalid, byPlace: true},

		{name: "no-address", value: `{"id":"@","type":"order_confirmation",` + ctx + `}}`,
			outcome: "ignored/missing_address"},
		{name: "address-with-more", value: `{"id":"@","type":"order_confirmation","email":"kim@a.` + recipientDomain +
			`\r\nBcc: x@y.` + recipientDomain + `",` + ctx + `}}`, letter: topology.ReasonBadValue, outcome: invalid},
		{name: "data-of-another-type", value: head + `,"ctx":{"firstName":"Kim","order":"A-1"}}`,
			outcome: "delivery_error/missing_data"},
		{name: "data-with-line-ends", value: head +
			`,"ctx":{"firstName":"Kim","order":{"number":"A\r\nBcc: x@y","total":"1","currency":"EUR"}}}`, outcome: "sent"},
		{name: "data-with-markup", value: head +
			`,"ctx":{"firstName":"<script>{{.ctx}}</script>","order":{"number":"\u0000\ud83d\ude00","total":1e400,"currency":"EUR"}}}`, outcome: "sent"},
		{name: "large-ctx", value: fill(head+`,`+ctx+`,"more":"`, `"}}`), outcome: "sent"},
		{name: "the-same-id-again", value: strings.ReplaceAll(whole, "@\"", "neighbour-0\""), outcome: ""},
	}
}

// TestBadInput mixes records of every bad kind with good ones, in one
// partition: each bad one ends where it should, and its neighbours are sent.
func TestBadInput(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		s.startRoles(topology.Realtime)
		inputs := badInputs()
		var records []record
		want := make(map[string]string)
		letters := make(map[int64]*badInput)
		for i := range inputs {
			bad := &inputs[i]
			place := int64(len(records))
			records = append(records, bad.record(), neighbour(i))
			want[neighbour(i).key] = "sent"
			if bad.outcome != "" {
				want[bad.id(place)] = bad.outcome
			}
			if bad.letter != "" {
				letters[place] = bad
			}
		}

		s.publish(topology.Realtime, records...)
		s.awaitOutcomes(20*time.Second, want)
		s.awaitQuiet(topology.Realtime)
		s.checkStatuses(want)
		s.checkAcceptedOnce(want)
		checkLetters(t, s, letters)
		for _, a := range s.acceptances()["data-with-line-ends"] {
			if strings.ContainsAny(a.Subject, "\r\n") {
				t.Errorf("data has put a line end into the subject: %q", a.Subject)
			}
		}
	})
}

// neighbour is a good event.
func neighbour(i int) record {
	r := order("neighbour-"+strconv.Itoa(i), "mail")
	r.partition = 0
	return r
}

func (b *badInput) record() record {
	r := record{key: b.name, headers: b.headers, partition: 0}
	if b.value != "" {
		r.value = []byte(b.text())
	}
	return r
}

func (b *badInput) text() string { return strings.Replace(b.value, `"id":"@"`, `"id":"`+b.name+`"`, 1) }

// id is what the event goes by, if its record is at an offset.
func (b *badInput) id(offset int64) string {
	if b.byPlace {
		return string(topology.PositionID(topology.Realtime, 0, offset))
	}
	return b.name
}

// checkLetters checks that the dead letters are those of the offsets, with
// their bytes, reasons and coordinates, and no others.
func checkLetters(t *testing.T, s *site, want map[int64]*badInput) {
	t.Helper()
	found, err := s.cluster.read(string(s.topics.DeadLetters(topology.Realtime)))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(want) {
		t.Errorf("%d dead letters, want %d", len(found), len(want))
	}
	for _, letter := range found {
		offset, err := strconv.ParseInt(header(letter, topology.HeaderOriginalOffset), 10, 64)
		bad := want[offset]
		if err != nil || bad == nil {
			t.Errorf("a dead letter of offset %q: %v", header(letter, topology.HeaderOriginalOffset), letter.Headers)
			continue
		}
		checkLetter(t, s, bad, letter)
	}
}

func checkLetter(t *testing.T, s *site, bad *badInput, letter *kgo.Record) {
	t.Helper()
	for name, want := range map[string]string{
		topology.HeaderReason:            string(bad.letter),
		topology.HeaderOriginalTopic:     string(s.topics.Events(topology.Realtime)),
		topology.HeaderOriginalPartition: "0",
		topology.HeaderRole:              string(topology.RoleMatch),
	} {
		if got := header(letter, name); got != want {
			t.Errorf("the dead letter of %s has %s %q, want %q: %s", bad.name, name, got, want,
				header(letter, topology.HeaderError))
		}
	}
	for _, carried := range bad.headers {
		name, value, _ := strings.Cut(carried, "=")
		if header(letter, name) != value {
			t.Errorf("the dead letter of %s has lost its header %s", bad.name, name)
		}
	}
	if string(letter.Key) != bad.name || !bytes.Equal(letter.Value, bad.record().value) {
		t.Errorf("the dead letter of %s does not have the record's own key and bytes", bad.name)
	}
	if (letter.Value == nil) != (bad.value == "") {
		t.Errorf("the dead letter of %s is null: %v", bad.name, letter.Value == nil)
	}
}

// header is a header's value; empty if the record has none of the name.
func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
