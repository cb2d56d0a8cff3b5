package topology

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTopicNames(t *testing.T) {
	names := Topics{Prefix: DefaultPrefix}
	for got, want := range map[Topic]string{
		names.Events(Realtime):                "meddela.realtime.events",
		names.Jobs(Batch):                     "meddela.batch.jobs",
		names.DeliveryLog(Realtime):           "meddela.realtime.delivery-log",
		names.DeadLetters(Batch):              "meddela.batch.dead-letters",
		names.Delay(Realtime, Tiers()[0]):     "meddela.realtime.delay.400ms",
		names.Templates():                     "meddela.templates",
		names.Control():                       "meddela.control",
		names.Suppressions():                  "meddela.suppressions",
		(Topics{}).Events(Batch):              "batch.events",
		Topic(names.Group(RoleMatch, Batch)):  "meddela.batch.match",
		Topic(names.DeliverGroup(Batch, SMS)): "meddela.batch.deliver.sms",
		names.Paused(Realtime):                "meddela.realtime.delay.paused",
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestSpecs: every topic is there once, by a name that Kafka takes, and is
// known by its lane.
func TestSpecs(t *testing.T) {
	kafkaName := regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
	for _, prefix := range []string{DefaultPrefix, "", "eu.prod-"} {
		names := Topics{Prefix: prefix}
		specs := names.Specs(Sizing{Partitions: 12, DeadLetterPartitions: 3, Replication: -1, MinInSync: 2,
			RetainBytes: 1 << 30})
		if want := len(Lanes())*(7+len(Tiers())) + 4; len(specs) != want {
			t.Errorf("%d topics, want %d", len(specs), want)
		}
		seen := map[Topic]bool{}
		for _, spec := range specs {
			if seen[spec.Name] || !kafkaName.MatchString(string(spec.Name)) {
				t.Errorf("topic %s: twice, or not a name", spec.Name)
			}
			seen[spec.Name] = true
			checkSpec(t, names, spec)
		}
	}
}

func checkSpec(t *testing.T, names Topics, spec TopicSpec) {
	t.Helper()
	lane, ofLane := names.LaneOf(spec.Name)
	if compacted := spec.Config["cleanup.policy"] == "compact"; compacted == ofLane {
		t.Errorf("%s: cleanup %s, lane %q", spec.Name, spec.Config["cleanup.policy"], lane)
	}
	goesByTime := ofLane && slices.Contains(append(names.Reads(RoleDelay, lane), names.Events(lane), names.Redrive(lane)),
		spec.Name)
	if byBroker := spec.Config["message.timestamp.type"] == "LogAppendTime"; byBroker != goesByTime {
		t.Errorf("%s: the broker's time counts: %v", spec.Name, byBroker)
	}
	wantPartitions := 12
	switch {
	case !ofLane:
		wantPartitions = 1
	case spec.Name == names.DeadLetters(lane):
		wantPartitions = 3
	}
	if spec.Partitions != wantPartitions || spec.Replication != -1 || spec.Config["min.insync.replicas"] != "2" {
		t.Errorf("%s: %+v", spec.Name, spec)
	}
}

func TestLaneOf(t *testing.T) {
	names := Topics{Prefix: DefaultPrefix}
	for _, topic := range []Topic{
		"", "meddela.", "meddela.realtime", "realtime.events", "meddela.express.events", "other.realtime.events",
		names.Control(), names.Suppressions(), names.Templates(),
	} {
		if lane, ok := names.LaneOf(topic); ok {
			t.Errorf("%q is of lane %s", topic, lane)
		}
	}
}

func TestTierFor(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		-time.Hour: "400ms", 0: "400ms", 1999 * time.Millisecond: "400ms", 9 * time.Second: "2s", 10 * time.Second: "10s",
		59 * time.Second: "10s",
		time.Minute:      "1m", 10*time.Minute - 1: "1m", 10 * time.Minute: "10m", time.Hour: "1h",
		6*time.Hour - 1: "1h", 6 * time.Hour: "6h", 1000 * time.Hour: "6h",
	} {
		if got := TierFor(wait).Name; got != want {
			t.Errorf("a wait of %s goes to tier %s, want %s", wait, got, want)
		}
	}
	for _, tier := range Tiers() {
		if wait, err := time.ParseDuration(tier.Name); err != nil || wait != tier.Wait {
			t.Errorf("tier %s waits %s", tier.Name, tier.Wait)
		}
	}
	if !slices.IsSortedFunc(Tiers(), func(a, b Tier) int { return int(a.Wait - b.Wait) }) {
		t.Error("the shortest tier is not first")
	}
}

func TestKeys(t *testing.T) {
	keys := Keys{Prefix: DefaultKeyPrefix}
	for got, want := range map[string]string{
		keys.Event("e-1"):        "meddela:event:e-1",
		keys.Claim("j-1"):        "meddela:claim:j-1",
		keys.StatusNotice("e-1"): "meddela:status:e-1",

		keys.Suppressions(0x0f):   "meddela:suppressions:0f",
		keys.Cap(SMS, "0f"):       "meddela:cap:sms:0f",
		keys.ProviderRate("ses"):  "meddela:provider:rate:ses",
		keys.ProviderSlots("ses"): "meddela:provider:slots:ses",

		keys.ProviderTrouble(Batch): "meddela:provider:trouble:batch",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestWords: each closed list has what its parser takes, each word once.
func TestWords(t *testing.T) {
	for _, lane := range Lanes() {
		if got, err := ParseLane(string(lane)); err != nil || got != lane {
			t.Errorf("lane %s is read as %s, %v", lane, got, err)
		}
	}
	if _, err := ParseLane("Realtime"); err == nil {
		t.Error("lane Realtime is read")
	}
	for i, status := range Statuses() {
		if got, err := ParseStatus(string(status)); err != nil || got != status {
			t.Errorf("status %s is read as %s, %v", status, got, err)
		}
		if status.rank() != i || status.Final() != (i >= 2) {
			t.Errorf("status %s has rank %d, final %v", status, status.rank(), status.Final())
		}
	}
	if _, err := ParseStatus(""); err == nil {
		t.Error("the empty status is read")
	}
	if Status("no status").Final() {
		t.Error("an unknown status is final")
	}
	word := regexp.MustCompile(`^[a-z0-9_]+$`)
	seen := map[Reason]bool{}
	for _, reason := range Reasons() {
		if seen[reason] || !word.MatchString(string(reason)) {
			t.Errorf("reason %q: twice, or no word", reason)
		}
		seen[reason] = true
		if reason.known(Ignored) != reason {
			t.Errorf("reason %s is not known", reason)
		}
	}
	for _, channel := range Channels() {
		if !channel.known() {
			t.Errorf("channel %s is not known", channel)
		}
	}
}

func TestReasonKnown(t *testing.T) {
	for _, status := range Statuses() {
		want := NoReason
		if status.Final() && status != Sent {
			want = ReasonExternal
		}
		if got := NoReason.known(status); got != want {
			t.Errorf("no reason of %s is read as %q, want %q", status, got, want)
		}
		if got := Reason("mailbox full").known(status); got != ReasonExternal {
			t.Errorf("an unknown reason of %s is read as %q", status, got)
		}
	}
}

func TestEventIDValid(t *testing.T) {
	for id, want := range map[EventID]bool{
		"": false, "a": true, "A-z0.9_:": true, "a b": false, "a/b": false, "a\n": false, "\x00": false, "ä": false,
		"a@b": false, "/shop#1001": true, "a#b#1": true, "#1": false, "a#": false, "a b#1": false,
		"{a}#1": false, "ä#1": false,
		"a#b/c": true, EventID("s#" + strings.Repeat("x", maxQualifiedIDBytes-2)): true,
		EventID("s#" + strings.Repeat("x", maxQualifiedIDBytes-1)): false,
		EventID(strings.Repeat("x", MaxIDBytes)):                   true, EventID(strings.Repeat("x", MaxIDBytes+1)): false,
		PositionID(Realtime, 11, 1<<62): true,
	} {
		if id.Valid() != want {
			t.Errorf("%.20q: Valid is %v", id, !want)
		}
	}
}

// TestJobIDOf pins the hash: to change it is to send messages twice.
func TestJobIDOf(t *testing.T) {
	for _, test := range []struct {
		id       EventID
		redrives int
		want     JobID
	}{
		{"e-1", 0, "3fbbfbb41ad60f8d2d138f36332775f5"},
		{"e-1", 1, "93fb98460f5f212f884336e81f2668bf"},
	} {
		got := JobIDOf(test.id, test.redrives)
		if !EventID(got).Valid() || len(got) != 32 {
			t.Errorf("%s is no job id", got)
		}
		if got != test.want {
			t.Errorf("%s#%d has job id %s, want %s", test.id, test.redrives, got, test.want)
		}
	}
}

func TestSource(t *testing.T) {
	r := Record{Topic: "meddela.realtime.events", Partition: 3, Offset: 114}
	if got := r.Source(); got != "meddela.realtime.events/3/114" {
		t.Errorf("source %s", got)
	}
}

func TestPlaceOfASource(t *testing.T) {
	for _, test := range []struct {
		source    Source
		topic     Topic
		partition int
		offset    int64
		ok        bool
	}{
		{SourceOf("meddela.realtime.events", 3, 114), "meddela.realtime.events", 3, 114, true},
		{"t/0/9223372036854775807", "t", 0, 9223372036854775807, true},
		{"", "", 0, 0, false}, {"t", "", 0, 0, false}, {"t/1", "", 0, 0, false}, {"/1/2", "", 0, 0, false},
		{"t/x/2", "", 0, 0, false}, {"t/1/x", "", 0, 0, false}, {"t/-1/2", "", 0, 0, false}, {"t/1/-2", "", 0, 0, false},
		{"t/1/9223372036854775808", "", 0, 0, false},
	} {
		topic, partition, offset, ok := test.source.Split()
		if topic != test.topic || partition != test.partition || offset != test.offset || ok != test.ok {
			t.Errorf("%q is at %q %d %d, %v", test.source, topic, partition, offset, ok)
		}
	}
}
