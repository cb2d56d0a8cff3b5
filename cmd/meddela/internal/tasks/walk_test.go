package tasks

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

func TestFindsWhatIsStillNotCovered(t *testing.T) {
	c := newCluster()
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		c.publishEvent(id, "loyalty")
	}
	events := c.topics[names.Events(lane)]
	c.log(events[4], "e", topology.NotCovered, noTemplate, 0)
	c.log(events[0], "a", topology.NotCovered, noTemplate, 0)
	// b was published twice, and covered the first time.
	c.log(events[1], "b", topology.Sent, topology.NoReason, 1)
	c.log(events[1], "b", topology.NotCovered, noTemplate, 0)
	// c was healed.
	c.log(events[2], "c", topology.NotCovered, noTemplate, 0)
	healed := names.Again(lane, events[2], "c", topology.ReceiptOf(&events[2]))
	c.log(healed, "c", topology.PendingDelivery, topology.NoReason, 1)
	c.log(events[3], "d", topology.Sent, topology.NoReason, 1)
	c.add(names.DeliveryLog(lane), []byte("no entry"))

	sent := topology.StateOf(&topology.Entry{EventID: "b", Attempt: 1, Status: topology.Sent, At: now})
	got := c.find(t, statuses{"b": sent}, uncovered)
	if !slices.Equal(ids(got), []topology.EventID{"a", "e"}) {
		t.Errorf("found %v; want a and e", ids(got))
	}
	if got[0].Language != "sv-FI" || got[0].Type != "loyalty" || got[0].Reason != noTemplate {
		t.Errorf("found %+v", got[0])
	}
}

func TestFilters(t *testing.T) {
	state := topology.State{Status: topology.DeliveryError, Reason: topology.ReasonBounced, Type: "loyalty",
		Channel: topology.SMS, Template: "loyalty@2", Provider: "ses"}
	errorsAndIgnored := []topology.Status{topology.Ignored, topology.DeliveryError}
	for _, test := range []struct {
		filter topology.TaskFilter
		want   bool
	}{
		{topology.TaskFilter{}, true},
		{topology.TaskFilter{Statuses: errorsAndIgnored, Reason: topology.ReasonBounced, Type: "loyalty",
			Channel: topology.SMS, Template: "loyalty", Provider: "ses"}, true},
		{topology.TaskFilter{Template: "loyalty@2"}, true},
		{topology.TaskFilter{Template: "loyalty@1"}, false},
		{topology.TaskFilter{Template: "loyal"}, false},
		{topology.TaskFilter{Statuses: []topology.Status{topology.Sent}}, false},
		{topology.TaskFilter{Reason: noTemplate}, false},
		{topology.TaskFilter{Type: "order"}, false},
		{topology.TaskFilter{Channel: topology.Email}, false},
		{topology.TaskFilter{Provider: "other"}, false},
	} {
		if got := matches(&test.filter, &state); got != test.want {
			t.Errorf("%+v means it: %v", test.filter, got)
		}
	}
	letter := topology.Letter{Original: topology.Record{Topic: "t"}, Reason: topology.ReasonNotJSON,
		Role: topology.RoleMatch, Build: "1"}
	for _, test := range []struct {
		filter topology.TaskFilter
		want   bool
	}{
		{topology.TaskFilter{}, true},
		{topology.TaskFilter{Topic: "t", Reason: topology.ReasonNotJSON, Role: topology.RoleMatch, Build: "1"}, true},
		{topology.TaskFilter{Topic: "u"}, false},
		{topology.TaskFilter{Reason: noTemplate}, false},
		{topology.TaskFilter{Role: topology.RoleStatus}, false},
		{topology.TaskFilter{Build: "2"}, false},
	} {
		if got := Means(&test.filter, &letter); got != test.want {
			t.Errorf("%+v means the dead letter: %v", test.filter, got)
		}
	}
}

func TestGroups(t *testing.T) {
	c := newCluster()
	for _, id := range []topology.EventID{"a", "b", "c"} {
		reason := noTemplate
		if id == "b" {
			reason = topology.ReasonConditionsFalse
		}
		c.log(c.publishEvent(string(id), "loyalty"), id, topology.NotCovered, reason, 0)
	}
	all := Groups{}
	for i, e := range c.find(t, nil, uncovered) {
		all.Add(Key{Reason: e.Reason, Language: e.Language}, now.Add(time.Duration(i-1)), e.EventID, e.Source, "")
	}
	groups := all.Sorted()
	if len(groups) != 2 || groups[0].Count != 2 || !groups[0].First.Before(now) || !groups[0].Last.After(now) ||
		groups[0].Reason != noTemplate || groups[0].Language != "sv-FI" ||
		groups[0].Sample != "c" || groups[0].Source != "meddela.realtime.events/0/2" || groups[1].Count != 1 {
		t.Errorf("groups %+v", groups)
	}
}

// TestRefusals: what might be sent twice, or would fail again, is refused, each for a reason of its own.
func TestRefusals(t *testing.T) {
	const crash = topology.ReasonInternalError
	type words = topology.State
	failed := func(redrives int) words { return stateOf(redrives, topology.DeliveryError, topology.ReasonBounced) }
	uncovered := func(reason topology.Reason) words { return stateOf(0, topology.NotCovered, reason) }
	sent := func(redrives int) words { return stateOf(redrives, topology.Sent, "") }
	letter := func(reason topology.Reason, build string) *topology.Letter {
		return &topology.Letter{Reason: reason, Build: build}
	}
	for name, test := range map[string]struct {
		spec     topology.TaskSpec
		letter   *topology.Letter
		logged   topology.State // of an entry
		redrives int            // when it was chosen
		live     topology.State
		refused  string
		unknown  bool // to Redis
		want     string
	}{
		"failed":                        {logged: failed(0)},
		"failed, as only the log knows": {logged: failed(0), unknown: true, want: NoStatus},
		"ignored":                       {logged: stateOf(0, topology.Ignored, topology.ReasonKilled)},
		"refused before":                {refused: NoEvent, want: NoEvent},
		"sent":                          {logged: sent(0), want: WasSent},
		"sent, asked for":               {spec: topology.TaskSpec{NewMessage: true}, logged: sent(0)},
		"sent, as only Redis knows":     {logged: uncovered(noTemplate), live: sent(0), want: WasSent},
		"ambiguous": {logged: stateOf(0, topology.DeliveryError, topology.ReasonAmbiguous),
			want: WasSent},
		"crashed in delivery": {logged: stateOf(0, topology.DeliveryError, crash), want: WasSent},
		"crashed in match":    {logged: uncovered(crash), want: SameBuild},
		"on its way":          {logged: stateOf(0, topology.PendingDelivery, ""), want: InProgress},
		"on its way, as another copy was": {logged: uncovered(noTemplate), live: stateOf(0, topology.PendingDelivery, ""),
			want: InProgress},
		"on its way again":   {logged: failed(0), live: stateOf(1, topology.Pending, ""), want: RedrivenSince},
		"failed again since": {logged: failed(0), live: failed(1), want: RedrivenSince},
		"sent since, asked for": {spec: topology.TaskSpec{NewMessage: true}, logged: sent(0),
			live: sent(1), want: RedrivenSince},
		"chosen by id, and redriven": {logged: failed(1), live: failed(1), want: RedrivenSince},
		"twice":                      {redrives: 2, logged: failed(2)},
		"three times":                {redrives: 3, logged: failed(3), want: RedrivenOften},
		"letter": {letter: letter(topology.ReasonNotJSON, ""),
			live: uncovered(topology.ReasonInvalid)},
		"letter of no status":  {letter: letter(topology.ReasonNotJSON, ""), want: NoStatus},
		"letter that was sent": {letter: letter(topology.ReasonNotJSON, ""), live: sent(0), want: WasSent},
		"letter, and killed since": {letter: letter(crash, "1.0"),
			live: stateOf(0, topology.Ignored, topology.ReasonKilled), want: Changed},
		"letter, and killed since, asked for": {spec: topology.TaskSpec{NewMessage: true}, letter: letter(crash, "1.0"),
			live: stateOf(0, topology.Ignored, topology.ReasonKilled)},
		"letter, and failed since": {letter: letter(crash, "1.0"), live: failed(0), want: Changed},
		"letter, and not covered since": {letter: letter(topology.ReasonNotJSON, ""), live: uncovered(noTemplate),
			want: Changed},
		"letter of what no topic took": {letter: letter(topology.ReasonTopicRejected, ""),
			live: stateOf(0, topology.DeliveryError, topology.ReasonTopicRejected)},
		"letter of this build":     {letter: letter(crash, "2.0"), live: uncovered(crash), want: SameBuild},
		"letter of another build":  {letter: letter(crash, "1.0"), live: uncovered(crash)},
		"letter of an old release": {letter: letter(crash, ""), live: uncovered(crash)},
		"letter of a deliverer": {letter: letter(crash, "1.0"),
			live: stateOf(0, topology.DeliveryError, crash), want: WasSent},
	} {
		item := Item{Letter: test.letter, State: test.logged, Refused: test.refused,
			Receipt: topology.Receipt{Redrives: test.redrives}}
		if test.live.Status == "" && test.letter == nil {
			test.live = test.logged
		}
		answer := status.Answer{State: test.live, Found: test.live.Status != "" && !test.unknown}
		if got := refusal(&test.spec, &item, &answer, "2.0"); got != test.want {
			t.Errorf("%s: refused as %q, want %q", name, got, test.want)
		}
	}
	item := Item{State: failed(0)}
	broken := status.Answer{Found: true, Err: errors.New("no hash")}
	if got := refusal(&topology.TaskSpec{}, &item, &broken, ""); got != NoStatus {
		t.Errorf("what cannot be read is refused as %q", got)
	}
}

// TestPreview: what is covered now would be published, and all else is told why not.
func TestPreview(t *testing.T) {
	c := newCluster()
	c.log(c.publishEvent("gone", "loyalty"), "gone", topology.NotCovered, noTemplate, 0)
	c.publishEvent("fine", "loyalty")
	c.log(c.publishEvent("a", "loyalty"), "a", topology.NotCovered, noTemplate, 0)
	c.log(c.publishEvent("other", "parcel"), "other", topology.NotCovered, noTemplate, 0)
	other := c.add("payments", []byte(`{"type":"loyalty","channel":"sms","ctx":{}}`))
	c.log(other, "x", topology.NotCovered, noTemplate, 0)
	c.log(other, "y", topology.NotCovered, noTemplate, 0) // from the same place, as another engine may say
	c.topics[names.Events(lane)][0].Value = nil
	live := catalogueOf(t, "loyalty", 0)
	c.lost = 3
	got := c.preview(t, c.folded(), live, c.resend(uncovered))
	if got.Matched != 5 || got.Published != 1 || got.Templates["loyalty@1"] != 1 || got.Reasons[noTemplate] != 1 ||
		!maps.Equal(got.Refused, map[string]int64{Gone: 3, string(noTemplate): 1, Unread: 3}) ||
		!slices.Equal(got.Samples, []Sample{{"a", noTemplate, "meddela.realtime.events/0/2"}}) {
		t.Errorf("it would do %+v", got)
	}

	late := catalogueOf(t, "loyalty", time.Second)
	if got := c.preview(t, c.folded(), late, c.resend(uncovered)); got.Refused["expired"] != 1 {
		t.Errorf("late: %+v", got)
	}
	spec := c.resend(uncovered)
	spec.Expired = true
	if got := c.preview(t, c.folded(), late, spec); got.Published != 1 {
		t.Errorf("late, and asked for: %+v", got)
	}
	byID := &topology.TaskSpec{Kind: topology.ResendEvents, Lane: lane, Events: []topology.TaskEvent{{ID: "a"}}}
	entry := entryOf(c.topics[names.Events(lane)][2], "a", topology.DeliveryError, topology.ReasonBounced, 1)
	if got := c.preview(t, statuses{"a": topology.StateOf(&entry)}, live, byID); got.Published != 1 {
		t.Errorf("by id: %+v", got)
	}
}

// TestLetters: the event of a dead letter is what match, or what a job had; nothing else has one.
func TestLetters(t *testing.T) {
	c, s := newCluster(), statuses{}
	letter := func(r topology.Record, role topology.Role) {
		l := names.DeadLetter(lane, &r, &topology.Fault{Reason: topology.ReasonBadValue, Detail: "x"}, role, now)
		c.add(l.Topic, l.Value, l.Headers...)
	}
	first := c.publishEvent("a", "loyalty")
	letter(first, topology.RoleMatch)
	hourAgo := topology.Receipt{Source: "s", At: now.Add(-time.Hour)}
	again := names.Again(lane, c.publishEvent("b", "loyalty"), "b", hourAgo)
	letter(again, topology.RoleMatch)
	job := topology.Job{JobID: "j", EventID: "c", Lane: lane, Redrives: 1, Attempt: 1, Template: "loyalty@1",
		Type: "loyalty", Channel: topology.SMS, Source: "s", ReceivedAt: now, Event: first.Value}
	letter(topology.Record{Topic: names.Jobs(lane), Partition: 2, Value: job.Append(nil)}, topology.RoleDeliver)
	rejected := names.DeadLetter(lane, &topology.Record{Topic: names.Events(lane), Value: job.Append(nil)},
		&topology.Fault{Reason: topology.ReasonTopicRejected, Detail: "x"}, topology.RoleMatch, now)
	c.add(rejected.Topic, rejected.Value, rejected.Headers...)
	letter(first, topology.RoleStatus) // has gone its way
	letter(topology.Record{Topic: names.DeliveryLog(lane), Value: []byte("{}")}, topology.RoleStatus)
	letter(topology.Record{Topic: names.DeliveryLog(lane), Value: job.Append(nil)}, topology.RoleStatus)
	letter(topology.Record{Topic: names.Events(lane)}, topology.RoleMatch)
	letter(topology.Record{Topic: names.Events(topology.Batch), Value: first.Value}, topology.RoleMatch)
	letter(topology.Record{Topic: "payments", Value: first.Value}, topology.RoleMatch)
	for id, redrives := range map[topology.EventID]int{"a": 0, "b": 1, "c": 1} {
		s[id] = stateOf(redrives, topology.NotCovered, topology.ReasonInvalid)
	}
	spec := &topology.TaskSpec{Kind: topology.RedriveLetters, Lane: lane, Ranges: []topology.TaskRange{{To: 10}}}
	var got []Item
	engine := c.engine(s, catalogueOf(t, "loyalty", 0))
	err := engine.walk(t.Context(), spec, nil, new(scan.Progress), func(_ int, items []Item, _ int64) error {
		got = append(got, items...)
		return engine.judge(t.Context(), spec, got)
	})
	if err != nil || len(got) != 10 {
		t.Fatalf("%d items, %v", len(got), err)
	}
	for i, want := range []struct {
		id      topology.EventID
		receipt topology.Receipt
	}{{"a", topology.ReceiptOf(&first)}, {"b", topology.Receipt{Redrives: 1, Source: "s", At: now.Add(-time.Hour)}},
		{"c", topology.Receipt{Redrives: 1, Source: "s", At: now}},
		{"c", topology.Receipt{Redrives: 1, Source: "s", At: now}}} {
		if item := got[i]; item.ID != want.id || item.Receipt != want.receipt || item.Refused != "" ||
			string(item.Record.Value[:6]) != `{"id":` {
			t.Errorf("%s: %+v", want.id, item)
		}
	}
	for _, item := range got[4:] {
		if item.Refused != NoEvent {
			t.Errorf("%s of %s is refused as %q", item.Letter.Role, item.Letter.Original.Topic, item.Refused)
		}
	}
}

// TestWalkGoesOnWhereItWas: what is done is not given again, and what is gone is told once.
func TestWalkGoesOnWhereItWas(t *testing.T) {
	c := newCluster()
	for _, id := range []topology.EventID{"a", "b", "c", "d", "e"} {
		c.log(c.publishEvent(string(id), "loyalty"), id, topology.NotCovered, noTemplate, 0)
	}
	engine := c.engine(nil, nil)
	stop := errors.New("stop")
	next := map[int]int64{}
	given := map[topology.EventID]int{}
	for _, at := range []int64{2, 4, 5} {
		give := func(p int, items []Item, _ int64) error {
			for _, item := range items {
				if item.Offset >= at {
					return stop
				}
				given[item.ID]++
				next[p] = item.Offset + 1
			}
			return nil
		}
		err := engine.walk(t.Context(), c.resend(uncovered), next, new(scan.Progress), give)
		if (at < 5) != errors.Is(err, stop) {
			t.Errorf("up to %d: %v", at, err)
		}
	}
	if !maps.Equal(given, map[topology.EventID]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}) {
		t.Errorf("given %v", given)
	}
}
