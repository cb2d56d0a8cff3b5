package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestAnotherEngine: a company's own delivery engine, in another language and on
// another Kafka client, takes over a channel. Its outcomes are those that role
// deliver would have had; killed while it sends, it sends nothing twice; bounces
// that come days later turn what was sent into an error, for good; and the
// channel can be handed back.
func TestAnotherEngine(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		e := &engine{site: s, lane: lane, python: enginePython(t)}
		for _, role := range []topology.Role{topology.RoleMatch, topology.RoleStatus, topology.RoleDelay} {
			s.start(role, lane)
		}
		e.startDeliver("sms", "push", "webhook")
		e.start()
		e.awaitMembers()

		want := e.deliversEveryKind()
		e.heedsOrders(want)
		e.sendsOnceThoughKilled(want)
		e.takesBounces(want)
		e.readsEverythingAgain(want)
		e.foldsToTheSame(want)
		e.checkLog()
		e.handsBack(want)
	})
}

// deliversEveryKind publishes every kind of event, one that is for another
// attempt, and a record that is no job.
func (e *engine) deliversEveryKind() map[string]string {
	e.t.Helper()
	want := e.publishKinds(e.lane, time.Now().Add(3*time.Second).UTC().Truncate(time.Millisecond))
	const odd = `{"id":"busy", "type":"order_confirmation","email":"kim@busy.` + recipientDomain +
		`","ctx":{"firstName":"Kim",` +
		`"order":{"number":"B-1","total": 129.90,"currency":"EUR"},"\u0062ig":123456789012345678901}}`
	e.publish(e.lane, event("busy", odd))
	want["busy"] = "sent"
	noJob := record{key: "no-job", value: []byte(`{"job_id":"no-job"}`), headers: []string{"x-channel=email"},
		partition: 1}
	if err := e.upstream.publish(string(e.topics.Jobs(e.lane)), []record{noJob}); err != nil {
		e.t.Fatal(err)
	}
	e.awaitOutcomes(30*time.Second, want)
	e.awaitQuiet(e.lane)
	e.checkStatuses(want)
	e.checkAcceptedOnce(want)
	for id, attempt := range map[string]string{"busy": "2", string(e.lane) + ":sent": "1"} {
		if hash := e.hash(id); hash[topology.FieldAttempt] != attempt || hash[topology.FieldProvider] != "outbox" {
			e.t.Errorf("%s was sent in attempt %q by %q; want %s by outbox", id, hash[topology.FieldAttempt],
				hash[topology.FieldProvider], attempt)
		}
	}
	if got := e.acceptances()["busy"]; len(got) == 1 && !strings.HasSuffix(got[0].Text, " 129.90 EUR.") {
		e.t.Errorf("busy was sent as %q, want the sum as it was", got[0].Text)
	}
	for _, r := range e.records(e.topics.Jobs(e.lane)) {
		if job, err := topology.DecodeJob(r.Value); string(r.Key) == "busy" && (err != nil || string(job.Event) != odd) {
			e.t.Errorf("attempt %d has the event %s (%v), want it untouched", job.Attempt, job.Event, err)
		}
	}
	for _, id := range []string{string(e.lane) + ":sent", ofShop(e.lane, "ce-binary"), ofShop(e.lane, "ce-structured")} {
		if got := e.acceptances()[id]; len(got) == 1 &&
			(got[0].Language != "sv" || !strings.HasPrefix(got[0].Text, "Tack, Kim.")) {
			e.t.Errorf("%s was sent as %+v, want it in Swedish", id, got[0])
		}
	}
	letters := e.records(e.topics.DeadLetters(e.lane))
	if len(letters) != 1 || string(letters[0].Key) != "no-job" {
		e.t.Errorf("there are %d dead letters; want the record that is no job", len(letters))
	}
	return want
}

// engineInForce is how long after a command the engine acts on it: beside the other
// scenarios a Python process may get no processor for a second.
const engineInForce = 6 * inForce

// heedsOrders pauses, kills and resumes what the engine delivers.
func (e *engine) heedsOrders(want map[string]string) {
	e.t.Helper()
	e.site.run("control", "pause", "template:order_confirmation")
	e.site.run("control", "kill", "type:password_reset")
	time.Sleep(engineInForce)
	reset := event("killed",
		`{"id":"killed","type":"password_reset","email":"kim@mail.%s","ctx":{"firstName":"Kim","link":"https://shop.test/r"}}`, recipientDomain)
	e.publish(e.lane, order("paused", "mail"), reset)
	want["paused"], want["killed"] = "pending_delivery/paused", "ignored/killed"
	e.awaitOutcomes(20*time.Second, want)
	e.site.run("control", "pause", "provider:outbox")
	time.Sleep(engineInForce)
	e.site.run("control", "resume", "template:order_confirmation")
	e.site.run("control", "resume", "type:password_reset")
	e.publish(e.lane, order("provider-paused", "mail"))
	want["paused"], want["provider-paused"] = "pending_delivery/paused", "pending_delivery/paused"
	e.awaitOutcomes(20*time.Second, want)
	e.site.run("control", "resume", "provider:outbox")
	want["paused"], want["provider-paused"] = "sent", "sent"
	e.awaitOutcomes(20*time.Second, want)
	e.awaitQuiet(e.lane)
	e.checkAcceptedOnce(want)
}

// sendsOnceThoughKilled kills the engine while it sends, again and again.
func (e *engine) sendsOnceThoughKilled(want map[string]string) {
	e.t.Helper()
	const events, kills = 400, 3
	var batch []record
	for i := range events {
		id := fmt.Sprintf("order-%d", i)
		batch = append(batch, order(id, "mail"))
		want[id] = "sent"
	}
	began := len(e.acceptances())
	e.publish(e.lane, batch...)
	for i := range kills {
		goal := began + (i+1)*events/(kills+2)
		e.eventually(30*time.Second, fmt.Sprintf("%d messages are accepted", goal), func() error {
			if n := len(e.acceptances()); n < goal {
				return fmt.Errorf("%d are", n)
			}
			return nil
		})
		e.kill9(e.process)
		e.start()
	}
	e.awaitOutcomes(60*time.Second, want)
	e.awaitQuiet(e.lane)
	e.checkStatuses(want)
	e.checkAcceptedOnce(want)
	if spared := e.spared(); spared == 0 {
		e.t.Error("no kill hit a message between its acceptance and its record: the scenario shows nothing")
	} else {
		e.t.Logf("%d kills; %d messages had been accepted and not recorded, and were not sent again", kills, spared)
	}
}

// takesBounces has messages come back three days later, and then the old word
// on them again.
func (e *engine) takesBounces(want map[string]string) {
	e.t.Helper()
	later := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Millisecond)
	for id, reason := range map[string]string{"order-1": "invalid_address", "order-2": "provider_rejected",
		"busy": "invalid_address"} {
		args := e.args("bounce", "--reason", reason, "--at", later.Format(topology.TimeFormat), "--detail", "550 5.1.1", id)
		if out, err := exec.Command(e.python, args...).CombinedOutput(); err != nil {
			e.t.Fatalf("bounce: %v\n%s", err, out)
		}
		want[id] = "delivery_error/" + reason
	}
	e.awaitOutcomes(20*time.Second, want)
	e.repeatSent("order-1", "order-2", "busy")
	e.awaitQuiet(e.lane)
	e.checkStatuses(want)
	hash := e.hash("busy")
	for field, value := range map[string]string{
		topology.FieldAttempt: "2", topology.FieldDetail: "550 5.1.1", topology.FieldProvider: "outbox",
		topology.FieldFinalAt: strconv.FormatInt(later.UnixMilli(), 10),
	} {
		if hash[field] != value {
			e.t.Errorf("%s of a message that came back is %q, want %q", field, hash[field], value)
		}
	}
}

// repeatSent writes the entries again that say that events were sent.
func (e *engine) repeatSent(ids ...string) {
	e.t.Helper()
	var again []record
	for _, r := range e.records(e.topics.DeliveryLog(e.lane)) {
		var entry struct{ Status string }
		if err := json.Unmarshal(r.Value, &entry); err != nil {
			e.t.Fatal(err)
		}
		for _, id := range ids {
			if string(r.Key) == id && entry.Status == "sent" {
				again = append(again, record{key: id, value: r.Value, partition: int(r.Partition)})
			}
		}
	}
	if len(again) < len(ids) {
		e.t.Fatalf("the log has %d entries of %v that say sent", len(again), ids)
	}
	if err := e.upstream.publish(string(e.topics.DeliveryLog(e.lane)), again); err != nil {
		e.t.Fatal(err)
	}
}

// readsEverythingAgain gives the engine every job a second time.
func (e *engine) readsEverythingAgain(want map[string]string) {
	e.t.Helper()
	e.stop(e.process)
	if err := e.cluster.rewind(e.topics.DeliverGroup(e.lane, topology.Email), string(e.topics.Jobs(e.lane))); err != nil {
		e.t.Fatal(err)
	}
	before := len(e.records(e.topics.DeliveryLog(e.lane)))
	e.start()
	e.awaitQuiet(e.lane)
	if after := len(e.records(e.topics.DeliveryLog(e.lane))); after <= before {
		e.t.Error("jobs that came again had no entry")
	}
	e.checkStatuses(want)
	sent := maps.Clone(want) // what came back was sent before
	sent["order-1"], sent["order-2"], sent["busy"] = "sent", "sent", "sent"
	e.checkAcceptedOnce(sent)
}

// foldsToTheSame deletes the statuses, and has the log read again.
func (e *engine) foldsToTheSame(want map[string]string) {
	e.t.Helper()
	before := e.allHashes(want)
	e.stop(e.running(topology.RoleStatus))
	e.forget()
	for _, topic := range e.inputs(topology.RoleStatus, e.lane) {
		if err := e.cluster.rewind(e.topics.Group(topology.RoleStatus, e.lane), string(topic)); err != nil {
			e.t.Fatal(err)
		}
	}
	e.site.start(topology.RoleStatus, e.lane)
	e.awaitQuiet(e.lane)
	if err := same(before, e.allHashes(want)); err != nil {
		e.t.Error(err)
	}
}

// handsBack lets role deliver have the channel again.
func (e *engine) handsBack(want map[string]string) {
	e.t.Helper()
	e.stop(e.process)
	e.startDeliver("email")
	e.publish(e.lane, order("handed-back", "mail"))
	want["handed-back"] = "sent"
	e.awaitOutcomes(30*time.Second, want)
	e.awaitQuiet(e.lane)
	e.checkStatuses(want)
	if provider := e.hash("handed-back")[topology.FieldProvider]; provider != "sandbox" {
		e.t.Errorf("it was sent by %q, want the sandbox", provider)
	}
	if times := len(e.acceptances()["handed-back"]); times != 1 {
		e.t.Errorf("it was accepted %d times", times)
	}
}
