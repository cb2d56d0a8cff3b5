package scenario

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestEveryWayAnEventCanEnd is the life of one event of each kind, on both
// lanes.
func TestEveryWayAnEventCanEnd(t *testing.T) {
	alone(t, func(t *testing.T, s *site) {
		s.startRoles(topology.Lanes()...)
		line := s.timeline()
		soon := line.began.Add(5500 * time.Millisecond).UTC().Truncate(time.Millisecond)

		first := order("first", "mail")
		first.partition = 0
		line.at(1*time.Second).publish(topology.Realtime, first)
		line.by(2 * time.Second).statuses(map[string]string{"first": "sent"})

		line.at(2 * time.Second)
		want := map[string]string{"first": "sent"}
		for _, lane := range topology.Lanes() {
			s.publish(lane, kinds(lane, soon)...)
			maps.Copy(want, quickOutcomes(lane))
		}
		line.by(5 * time.Second).statuses(want)
		for _, lane := range topology.Lanes() {
			checkSentHash(t, s, lane)
		}

		for _, lane := range topology.Lanes() {
			want[string(lane)+":scheduled"] = "sent"
			want[string(lane)+":outlived"] = "expired/expired"
		}
		line.by(8 * time.Second).statuses(want)
		for _, lane := range topology.Lanes() {
			s.awaitQuiet(lane)
		}
		s.checkAcceptedOnce(want)
		s.checkStatuses(want)
		checkMessages(t, s, soon)
	})
}

// last is a partition that has nothing yet when kinds are published.
const last = partitions - 1

// kinds are one event of each kind, the first of them without an id.
func kinds(lane topology.Lane, soon time.Time) []record {
	l := string(lane)
	const sms = `"mobilePhone":"+358 40 123 4567"`
	const ctx = `"ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}}`
	const mail = `"email":"kim@mail.` + recipientDomain + `"`
	timed := func(id, field string, at time.Time) record {
		return event(id, `{"id":%q,"type":"order_confirmation",%s,%q:%q,%s}`, id, mail, field, at.Format(topology.TimeFormat),
			ctx)
	}
	records := []record{
		{value: []byte(`{"type":"order_confirmation",` + mail + `,` + ctx + `}`), partition: last},
		order(l+":sent", "mail"),
		order(l+":slow", "slow"),
		// Not valid for as long as its next attempt would wait.
		event(l+":down", `{"id":%q,"type":"order_confirmation","email":"kim@down.`+recipientDomain+`","expiration":%q,%s}`,
			l+":down", soon.Add(5*time.Second).Format(topology.TimeFormat), ctx),
		order(l+":refused", "fail"),
		order(l+":skipped", "skip"),
		order(l+":twice", "mail"),
		order(l+":twice", "mail"),
		event(l+":no-template", `{"id":"%s:no-template","type":"unheard_of",%s,%s}`, l, mail, ctx),
		event(l+":no-channel", `{"id":"%s:no-channel","type":"order_confirmation","channel":"sms",%s,%s}`, l, sms, ctx),
		event(l+":no-address", `{"id":"%s:no-address","type":"order_confirmation",%s}`, l, ctx),
		event(l+":bad-address", `{"id":"%s:bad-address","type":"order_confirmation","email":"no one at all",%s}`, l, ctx),
		event(l+":no-data", `{"id":"%s:no-data","type":"order_confirmation",%s,"ctx":{"firstName":"Kim"}}`, l, mail),
		event(l+":push", `{"id":"%s:push","type":"flight_change","channel":"push","registrationToken":"device-1",`+
			`"ctx":{"flight":{"number":"ND 1","to":"Oslo","cancelled":true}}}`, l),
		event(l+":reference", `{"id":"%s:reference","type":"one_time_code","wishedChannel":1,%s,"ctx":{"code":"004211"}}`, l,
			sms),
		timed(l+":late", "expiration", time.Now().Add(-time.Minute)),
		timed(l+":scheduled", "scheduled", soon),
		event(l+":outlived", `{"id":"%s:outlived","type":"order_confirmation",%s,"scheduled":%q,"expiration":%q,%s}`, l, mail,
			soon.Format(topology.TimeFormat), soon.Add(-time.Second).Format(topology.TimeFormat), ctx),
	}
	records = append(records,
		record{
			key: l + ":ce-binary", partition: anyPartition, value: []byte(`{` + mail + `,"language":"sv",` + ctx + `}`),
			headers: []string{
				"ce_specversion=1.0", "ce_id=" + l + ":ce-binary", "ce_type=order_confirmation", "ce_source=/webshop",
				"content-type=application/json", "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			},
		},
		record{
			key: l + ":ce-structured", partition: anyPartition,
			value: fmt.Appendf(nil,
				`{"specversion":"1.0","id":"%s:ce-structured","type":"order_confirmation","source":"/webshop",`+
					`"datacontenttype":"application/json","data":{%s,"language":"sv",%s}}`, l, mail, ctx),
			headers: []string{"content-type=application/cloudevents+json; charset=UTF-8"},
		},
	)
	return records
}

// quickOutcomes are what the events of kinds come to at once.
func quickOutcomes(lane topology.Lane) map[string]string {
	want := map[string]string{string(topology.PositionID(lane, last, 0)): "sent"}
	for id, outcome := range map[string]string{
		"sent":        "sent",
		"refused":     "delivery_error/provider_rejected",
		"skipped":     "ignored/suppressed",
		"slow":        "sent",
		"down":        "delivery_error/provider_down",
		"twice":       "sent",
		"no-template": "not_covered/no_template_for_type",
		"no-channel":  "not_covered/no_template_for_channel",
		"no-address":  "ignored/missing_address",
		"bad-address": "ignored/invalid_address",
		"no-data":     "delivery_error/missing_data",
		"push":        "sent",
		"reference":   "sent",
		"late":        "expired/expired",
		"scheduled":   "pending_delivery/scheduled",
		"outlived":    "pending_delivery/scheduled",
	} {
		want[string(lane)+":"+id] = outcome
	}
	want[ofShop(lane, "ce-binary")], want[ofShop(lane, "ce-structured")] = "sent", "sent"
	return want
}

// ofShop is the id of a CloudEvent of kinds: its source belongs to it.
func ofShop(lane topology.Lane, id string) string {
	return string(topology.QualifiedID("/webshop", string(lane)+":"+id))
}

// checkSentHash checks every field of the public contract on an event that is
// sent.
func checkSentHash(t *testing.T, s *site, lane topology.Lane) {
	t.Helper()
	hash := s.hash(string(lane) + ":sent")
	for field, want := range map[string]string{
		topology.FieldLane: string(lane), topology.FieldType: "order_confirmation", topology.FieldChannel: "email",
		topology.FieldRedrives: "0", topology.FieldAttempt: "1", topology.FieldProvider: "sandbox",
	} {
		if hash[field] != want {
			t.Errorf("%s of an event that is sent is %q, want %q", field, hash[field], want)
		}
	}
	if !strings.HasPrefix(hash[topology.FieldTemplate], "order_confirmation@") {
		t.Errorf("its template is %q", hash[topology.FieldTemplate])
	}
	if !strings.HasPrefix(hash[topology.FieldSource], string(s.topics.Events(lane))+"/") {
		t.Errorf("its source is %q", hash[topology.FieldSource])
	}
	var last int64
	for _, field := range []string{topology.FieldPendingAt, topology.FieldPendingDeliveryAt, topology.FieldFinalAt} {
		at, err := strconv.ParseInt(hash[field], 10, 64)
		if err != nil || at < last {
			t.Errorf("its %s is %q, after a stage at %d", field, hash[field], last)
		}
		last = at
	}
}

// checkMessages checks what the recipients were sent, and when.
func checkMessages(t *testing.T, s *site, soon time.Time) {
	t.Helper()
	all := s.acceptances()
	for _, lane := range topology.Lanes() {
		l := string(lane)
		languages := map[string]string{l + ":sent": "sv", ofShop(lane, "ce-binary"): "sv", l + ":reference": "en"}
		for id, language := range languages {
			if got := all[id]; len(got) != 1 || got[0].Language != language {
				t.Errorf("%s was sent as %+v, want it in %s", id, got, language)
			}
		}
		if got := all[l+":sent"]; len(got) == 1 && !strings.Contains(got[0].Text, l+":sent") {
			t.Errorf("the message does not have the order's number: %q", got[0].Text)
		}
		for _, a := range all[l+":scheduled"] {
			if a.At.Before(soon) {
				t.Errorf("%s:scheduled was sent at %v, before its time %v", l, a.At, soon)
			}
		}
	}
}
