package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kgo"

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
		e.startDeliver(topology.SMS, topology.Push, topology.Webhook)
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

// engine is the engine of test/engine, which delivers e-mail.
type engine struct {
	*site
	lane    topology.Lane
	python  string
	process *process
}

// enginePython is the interpreter that test/engine/setup makes, once for all
// scenarios.
func enginePython(t *testing.T) string {
	t.Helper()
	path, err := setUpEngine()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var setUpEngine = sync.OnceValues(func() (string, error) {
	var errOut bytes.Buffer
	command := exec.Command(filepath.Join(root, "test", "engine", "setup"))
	command.Stderr = &errOut
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("test/engine/setup: %w\n%s", err, &errOut)
	}
	return strings.TrimSpace(string(out)), nil
})

// start starts the engine, or starts it again.
func (e *engine) start() {
	e.t.Helper()
	args := e.args("run", "--channel", "email", "--outbox", "engine"+acceptancesSuffix,
		"--retry", "1,2", "--send-seconds", "0.01")
	e.process = e.spawn("engine", exec.Command(e.python, args...))
}

// args are a command of the engine with what it needs to know of the site.
func (e *engine) args(command string, more ...string) []string {
	return append([]string{
		"-B", filepath.Join(root, "test", "engine", "engine.py"), command,
		"--brokers", strings.Join(e.brokers, ","), "--prefix", e.topics.Prefix, "--lane", string(e.lane), "--dir", e.dir,
	}, more...)
}

// startDeliver starts role deliver for some channels.
func (e *engine) startDeliver(channels ...topology.Channel) {
	e.t.Helper()
	names := make([]string, len(channels))
	for i, c := range channels {
		names[i] = string(c)
	}
	command := exec.Command(binary, "run", "deliver", "--lane", string(e.lane), "--channel", strings.Join(names, ","))
	e.spawn("deliver", command)
}

// spawn starts a process that delivers.
func (e *engine) spawn(name string, command *exec.Cmd) *process {
	e.t.Helper()
	e.started++
	p := &process{
		name: fmt.Sprintf("%s-%s-%d", e.lane, name, e.started), role: topology.RoleDeliver, lane: e.lane,
		command: command, ended: make(chan struct{}), running: true,
	}
	p.log = filepath.Join(e.dir, p.name+".log")
	out, err := os.Create(p.log)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	command.Env = append(e.environment(),
		"MEDDELA_KAFKA_CLIENT_ID="+p.name,
		"MEDDELA_SANDBOX_FILE="+filepath.Join(e.dir, p.name+acceptancesSuffix),
	)
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		e.t.Fatal(err)
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	e.processes = append(e.processes, p)
	return p
}

// awaitMembers waits until every role has its partitions, the channels' groups
// included.
func (e *engine) awaitMembers() {
	e.t.Helper()
	for _, role := range topology.Roles() {
		for _, group := range e.topics.Groups(role, e.lane) {
			e.eventually(30*time.Second, group+" has a member with all partitions", func() error {
				counts, err := e.cluster.assignments(group)
				if err == nil && len(counts) != 1 {
					err = fmt.Errorf("the members have %v", counts)
				}
				return err
			})
		}
	}
}

// deliversEveryKind publishes every kind of event, one that is for another
// attempt, and a record that is no job.
func (e *engine) deliversEveryKind() map[string]string {
	e.t.Helper()
	want := e.publishKinds(e.lane, time.Now().Add(3*time.Second).UTC().Truncate(time.Millisecond))
	e.publish(e.lane, order("busy", "busy"))
	want["busy"] = "sent"
	noJob := record{key: "no-job", value: []byte(`{"job_id":"no-job"}`), headers: []string{"x-channel=email"}, partition: 1}
	if err := e.upstream.publish(string(e.topics.Jobs(e.lane)), []record{noJob}); err != nil {
		e.t.Fatal(err)
	}
	e.awaitOutcomes(30*time.Second, want)
	e.awaitQuiet(e.lane)
	e.checkStatuses(want)
	e.checkAcceptedOnce(want)
	for id, attempt := range map[string]string{"busy": "2", string(e.lane) + ":sent": "1"} {
		if hash := e.hash(id); hash[topology.FieldAttempt] != attempt || hash[topology.FieldProvider] != "outbox" {
			e.t.Errorf("%s was sent in attempt %q by %q; want %s by outbox", id, hash[topology.FieldAttempt], hash[topology.FieldProvider], attempt)
		}
	}
	for _, id := range []string{":sent", ":ce-binary", ":ce-structured"} {
		if got := e.acceptances()[string(e.lane)+id]; len(got) == 1 && (got[0].Language != "sv" || !strings.HasPrefix(got[0].Text, "Tack, Kim.")) {
			e.t.Errorf("%s was sent as %+v, want it in Swedish", id, got[0])
		}
	}
	letters := e.records(e.topics.DeadLetters(e.lane))
	if len(letters) != 1 || string(letters[0].Key) != "no-job" {
		e.t.Errorf("there are %d dead letters; want the record that is no job", len(letters))
	}
	return want
}

// heedsOrders pauses, kills and resumes what the engine delivers.
func (e *engine) heedsOrders(want map[string]string) {
	e.t.Helper()
	e.site.run("control", "pause", "template:order_confirmation")
	e.site.run("control", "kill", "type:password_reset")
	time.Sleep(inForce)
	reset := event("killed", `{"id":"killed","type":"password_reset","email":"kim@mail.%s","ctx":{"firstName":"Kim","link":"https://shop.test/r"}}`, recipientDomain)
	e.publish(e.lane, order("paused", "mail"), reset)
	want["paused"], want["killed"] = "pending_delivery/paused", "ignored/killed"
	e.awaitOutcomes(20*time.Second, want)
	e.site.run("control", "pause", "provider:outbox")
	time.Sleep(inForce)
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

var foundAccepted = regexp.MustCompile(`the provider has (\d+) of them`)

// spared is how many messages the engine found accepted after a crash.
func (e *engine) spared() int {
	e.t.Helper()
	sum := 0
	for _, p := range e.processes {
		log, err := os.ReadFile(p.log)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, found := range foundAccepted.FindAllSubmatch(log, -1) {
			n, _ := strconv.Atoi(string(found[1]))
			sum += n
		}
	}
	return sum
}

// takesBounces has messages come back three days later, and then the old word
// on them again.
func (e *engine) takesBounces(want map[string]string) {
	e.t.Helper()
	later := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Millisecond)
	for id, reason := range map[string]string{"order-1": "invalid_address", "order-2": "provider_refused", "busy": "invalid_address"} {
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
	sent := map[string]string{} // what came back was sent before
	for id, outcome := range want {
		sent[id] = outcome
	}
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

// checkLog checks that the engine's entries are good ones, carry the trace and
// have no address.
func (e *engine) checkLog() {
	e.t.Helper()
	schema := entrySchema(e.t)
	traced := 0
	for _, r := range e.records(e.topics.DeliveryLog(e.lane)) {
		if _, err := topology.DecodeEntry(r.Value); err != nil {
			e.t.Errorf("an entry of %s: %v", r.Key, err)
		}
		if doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value)); err != nil || schema.Validate(doc) != nil {
			e.t.Errorf("the entry %s is not as entry.json wants it: %v", r.Value, schema.Validate(doc))
		}
		if bytes.Contains(r.Value, []byte(recipientDomain)) {
			e.t.Errorf("an entry of %s has the recipient's address", r.Key)
		}
		for _, h := range r.Headers {
			if h.Key != "traceparent" {
				e.t.Errorf("an entry of %s has the header %s", r.Key, h.Key)
			} else if bytes.Contains(r.Value, []byte(`"provider":"outbox"`)) {
				traced++
			}
		}
	}
	if traced == 0 {
		e.t.Error("no entry of the engine has the trace of its event")
	}
}

// entrySchema is the JSON Schema of entries, as others get it.
func entrySchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	const base = "https://github.com/meddela/meddela/topology/schema/"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, name := range topology.SchemaNames() {
		text, err := topology.Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(base+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(base + "entry.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// handsBack lets role deliver have the channel again.
func (e *engine) handsBack(want map[string]string) {
	e.t.Helper()
	e.stop(e.process)
	e.startDeliver(topology.Email)
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

// records are what a topic has now.
func (e *engine) records(topic topology.Topic) []*kgo.Record {
	e.t.Helper()
	records, err := e.cluster.read(string(topic))
	if err != nil {
		e.t.Fatal(err)
	}
	return records
}
