package scenario

import (
	"fmt"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestOrders: what an operator pauses waits, and goes when it is resumed; what
// he kills is ignored; both act on queued work within a second, and what they
// are not about goes on.
func TestOrders(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.startRoles(lane)
		want := map[string]string{}
		tell := func(id, outcome string) {
			s.publish(lane, order(id, "mail"))
			want[id] = outcome
		}
		code := func(id, outcome string) {
			s.publish(lane, event(id,
				`{"id":%q,"type":"one_time_code","channel":"sms","mobilePhone":"+358401234567","ctx":{"code":"004211"}}`, id))
			want[id] = outcome
		}

		s.run("control", "pause", "template:order_confirmation", "--reason", "wrong price")
		time.Sleep(inForce)
		for i := range 40 {
			tell(fmt.Sprintf("paused-%d", i), "pending_delivery/paused")
		}
		s.publish(lane, event("paused-expiring",
			`{"id":"paused-expiring","type":"order_confirmation","email":"kim@mail.%s","expiration":%q,`+
				`"ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}}}`,
			recipientDomain, time.Now().Add(8*time.Second).UTC().Format(topology.TimeFormat)))
		want["paused-expiring"] = "pending_delivery/paused"
		code("code-1", "sent")
		s.awaitOutcomes(20*time.Second, want)

		// Orders about something else do not let it go, whether they come or end.
		s.run("control", "kill", "channel:sms")
		time.Sleep(inForce)
		code("code-2", "ignored/killed")
		s.awaitOutcomes(20*time.Second, want)
		s.run("control", "resume", "channel:sms")
		time.Sleep(inForce)
		code("code-3", "sent")
		s.awaitOutcomes(20*time.Second, want)
		var list struct{ Orders []topology.ControlRecord }
		s.json(&list, "control", "list")
		if len(list.Orders) != 1 || list.Orders[0].Subject != "template:order_confirmation" ||
			list.Orders[0].Reason != "wrong price" || list.Orders[0].By == "" {
			t.Errorf("in force: %+v", list.Orders)
		}

		// The one that has expired meanwhile is not sent any more.
		s.at(time.Now().Add(8 * time.Second))
		began := time.Now()
		s.run("control", "resume", "template:order_confirmation")
		for i := range 40 {
			want[fmt.Sprintf("paused-%d", i)] = "sent"
		}
		want["paused-expiring"] = "expired/expired"
		s.awaitOutcomes(20*time.Second, want)
		t.Logf("40 paused messages were sent %v after the resume was begun", time.Since(began).Round(time.Millisecond))

		// A pause with an end ends by itself; a kill takes what waits.
		s.run("control", "pause", "lane:realtime", "--for", "3s")
		s.run("control", "pause", "provider:sandbox")
		time.Sleep(inForce)
		tell("waits", "pending_delivery/paused")
		s.awaitOutcomes(20*time.Second, want)
		s.run("control", "kill", "provider:sandbox")
		want["waits"] = "ignored/killed"
		s.awaitOutcomes(20*time.Second, want)
		s.run("control", "resume", "provider:sandbox")
		s.awaitQuiet(lane)
		s.checkAcceptedOnce(want)
		s.checkStatuses(want)
	})
}

// at waits until a time.
func (s *site) at(when time.Time) { time.Sleep(time.Until(when)) }

const aPepper = "the pepper of a scenario, long enough"

// TestWhoIsNotWrittenTo: suppressed addresses and those that have had enough
// are ignored, each with its reason.
func TestWhoIsNotWrittenTo(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.settings = []string{"MEDDELA_SUPPRESS_PEPPER=" + aPepper, "MEDDELA_CAP_SMS=2/1h"}
		s.startRoles(lane)
		want := map[string]string{}
		s.run("suppressions", "add", "KIM@left."+recipientDomain, "--reason", "unsubscribed")
		s.run("suppressions", "add", "kim@soon."+recipientDomain, "--reason", "complaint", "--for", "4s")
		for _, label := range []string{"left", "stays", "soon"} {
			s.publish(lane, order(label, label))
		}
		want["left"], want["stays"], want["soon"] = "ignored/suppressed", "sent", "ignored/suppressed"
		s.awaitOutcomes(20*time.Second, want)

		time.Sleep(4 * time.Second)
		s.run("suppressions", "remove", "kim@left."+recipientDomain)
		for _, label := range []string{"left", "soon"} {
			s.publish(lane, order(label+"-again", label))
			want[label+"-again"] = "sent"
		}
		s.awaitOutcomes(20*time.Second, want)

		for i := range 4 {
			id := fmt.Sprintf("reminder-%d", i)
			s.publish(lane, event(id,
				`{"id":%q,"type":"appointment_reminder","channel":"sms","mobilePhone":"+358401234567","ctx":{"appointment":{"start":"2026-12-01T14:30:00+01:00","place":"Hamngatan 12"}}}`, id))
			s.awaitOutcomes(20*time.Second, map[string]string{id: "sent|ignored/capped"})
			want[id] = "sent"
			if i >= 2 {
				want[id] = "ignored/capped"
			}
		}
		s.awaitOutcomes(20*time.Second, want)
		s.awaitQuiet(lane)
		s.checkAcceptedOnce(want)
		s.checkStatuses(want)
	})
}
