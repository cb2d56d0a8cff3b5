package uncovered_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/uncovered"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

const noTemplate = topology.ReasonNoTemplateForType

func TestFindsWhatIsStillNotCovered(t *testing.T) {
	c := cluster{}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		c.publishEvent(topology.Realtime, id, "loyalty")
	}
	events := c[names.Events(topology.Realtime)]
	c.log(events[4], "e", topology.NotCovered, noTemplate, 0)
	c.log(events[0], "a", topology.NotCovered, noTemplate, 0)
	// b was published twice, and covered the first time.
	c.log(events[1], "b", topology.Sent, topology.NoReason, 1)
	c.log(events[1], "b", topology.NotCovered, noTemplate, 0)
	// c was healed.
	c.log(events[2], "c", topology.NotCovered, noTemplate, 0)
	healed := names.Again(topology.Realtime, events[2], "c", topology.ReceiptOf(&events[2]))
	c.log(healed, "c", topology.PendingDelivery, topology.NoReason, 1)
	c.log(events[3], "d", topology.Sent, topology.NoReason, 1)
	c.add(names.DeliveryLog(topology.Realtime), []byte("no entry"))

	sent := topology.StateOf(&topology.Entry{EventID: "b", Attempt: 1, Status: topology.Sent, At: now})
	got := find(t, c, statuses{"b": sent}, uncovered.Filter{})
	if !slices.Equal(ids(got), []topology.EventID{"a", "e"}) {
		t.Errorf("found %v; want a and e", ids(got))
	}
	if got[0].Language != "sv-FI" || got[0].Type != "loyalty" || got[0].Reason != noTemplate {
		t.Errorf("found %+v", got[0])
	}
}

func TestFilters(t *testing.T) {
	c := cluster{}
	c.log(c.publishEvent(topology.Realtime, "a", "loyalty"), "a", topology.NotCovered, noTemplate, 0)
	c.log(c.publishEvent(topology.Realtime, "b", "loyalty"), "b", topology.NotCovered, topology.ReasonConditionFailed, 0)
	for _, test := range []struct {
		filter uncovered.Filter
		want   []topology.EventID
	}{
		{uncovered.Filter{}, []topology.EventID{"a", "b"}},
		{uncovered.Filter{Reason: noTemplate}, []topology.EventID{"a"}},
		{uncovered.Filter{Type: "order"}, nil},
		{uncovered.Filter{Type: "loyalty", Channel: topology.SMS, Reason: topology.ReasonConditionFailed},
			[]topology.EventID{"b"}},
		{uncovered.Filter{Channel: topology.Email}, nil},
	} {
		if got := ids(find(t, c, nil, test.filter)); !slices.Equal(got, test.want) {
			t.Errorf("%+v finds %v; want %v", test.filter, got, test.want)
		}
	}
}

func TestGroups(t *testing.T) {
	c := cluster{}
	for _, id := range []topology.EventID{"a", "b", "c"} {
		reason := noTemplate
		if id == "b" {
			reason = topology.ReasonConditionsFalse
		}
		c.log(c.publishEvent(topology.Realtime, string(id), "loyalty"), id, topology.NotCovered, reason, 0)
	}
	groups := uncovered.Groups(find(t, c, nil, uncovered.Filter{}))
	if len(groups) != 2 || groups[0].Events != 2 || groups[0].Reason != noTemplate || groups[0].Language != "sv-FI" ||
		groups[0].Sample != "c" || groups[0].Source != "meddela.realtime.events/0/2" || groups[1].Events != 1 {
		t.Errorf("groups %+v", groups)
	}
}

func heal(t *testing.T, c cluster, found []uncovered.Event, live *catalogue.Catalogue) uncovered.Outcome {
	t.Helper()
	h := uncovered.Healer{Names: names, Topics: c, Catalogue: live, To: c,
		Now: func() time.Time { return now.Add(time.Minute) }}
	outcome, err := h.Heal(t.Context(), found, nil)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// TestHeal: exactly the events that are covered now are published again, as the
// same events, redriven once more.
func TestHeal(t *testing.T) {
	c := cluster{}
	events := names.Events(topology.Realtime)
	c.publishEvent(topology.Realtime, "fine", "loyalty")
	c.log(c.publishEvent(topology.Realtime, "a", "loyalty"), "a", topology.NotCovered, noTemplate, 0)
	c.log(c.publishEvent(topology.Realtime, "other", "parcel"), "other", topology.NotCovered, noTemplate, 0)
	unnamed := c.add(events, []byte(`{"type":"loyalty","channel":"sms","ctx":{}}`),
		topology.Header{Key: "traceparent", Value: []byte("00-1-2-01")})
	c.log(unnamed, "realtime-0-3", topology.NotCovered, noTemplate, 0)

	outcome := heal(t, c, find(t, c, nil, uncovered.Filter{}), catalogueOf(t, "loyalty", 0))
	if outcome.Healed != 2 || outcome.Gone != 0 ||
		!maps.Equal(outcome.Left, map[topology.Reason]int{noTemplate: 1}) ||
		!maps.Equal(outcome.ByTemplate, map[topology.TemplateRef]int{"loyalty@1": 2}) {
		t.Fatalf("outcome %+v", outcome)
	}
	for i, want := range []struct {
		id     topology.EventID
		source topology.Source
	}{{"a", "meddela.realtime.events/0/1"}, {"realtime-0-3", "meddela.realtime.events/0/3"}} {
		again := c[names.Redrive(topology.Realtime)][i]
		event, err := topology.DecodeEvent(again, topology.Realtime)
		receipt := topology.ReceiptOf(&again)
		if err != nil || event.ID != want.id || receipt.Redrives != 1 || receipt.Source != want.source ||
			!receipt.At.Equal(now) {
			t.Errorf("published again: %s %+v, %v", event.ID, receipt, err)
		}
	}
	if trace, _ := c[names.Redrive(topology.Realtime)][1].Header("traceparent"); string(trace) != "00-1-2-01" {
		t.Error("the trace context is lost")
	}
}

// TestHealingTwice: before the pipeline has taken the events, each is published
// as the same redrive again, and after it none is.
func TestHealingTwice(t *testing.T) {
	c := cluster{}
	c.log(c.publishEvent(topology.Realtime, "a", "loyalty"), "a", topology.NotCovered, noTemplate, 0)
	live := catalogueOf(t, "loyalty", 0)
	for range 2 {
		heal(t, c, find(t, c, nil, uncovered.Filter{}), live)
	}
	records := c[names.Redrive(topology.Realtime)]
	if len(records) != 2 || len(c[names.Events(topology.Realtime)]) != 1 {
		t.Fatalf("%d records are redriven", len(records))
	}
	for _, r := range records {
		if receipt := topology.ReceiptOf(&r); receipt.Redrives != 1 {
			t.Errorf("redriven %d times", receipt.Redrives)
		}
	}
	c.log(records[1], "a", topology.PendingDelivery, topology.NoReason, 1)
	if found := find(t, c, nil, uncovered.Filter{}); len(found) > 0 {
		t.Errorf("found %v after it was healed", ids(found))
	}
	// Not covered once more, it is redriven a second time.
	c.log(records[1], "a", topology.NotCovered, topology.ReasonConditionsFalse, 2)
	heal(t, c, find(t, c, nil, uncovered.Filter{}), live)
	records = c[names.Redrive(topology.Realtime)]
	if receipt := topology.ReceiptOf(&records[len(records)-1]); receipt.Redrives != 2 {
		t.Errorf("redriven %d times; want 2", receipt.Redrives)
	}
}

func TestHealLeavesWhatIsLateOrGone(t *testing.T) {
	c := cluster{}
	c.log(c.publishEvent(topology.Realtime, "gone", "loyalty"), "gone", topology.NotCovered, noTemplate, 0)
	c.log(c.publishEvent(topology.Realtime, "late", "loyalty"), "late", topology.NotCovered, noTemplate, 0)
	found := find(t, c, nil, uncovered.Filter{})
	c[names.Events(topology.Realtime)][0].Value = nil
	outcome := heal(t, c, found, catalogueOf(t, "loyalty", time.Second))
	if outcome.Healed != 0 || outcome.Gone != 1 || outcome.Left[topology.ReasonExpired] != 1 {
		t.Errorf("outcome %+v", outcome)
	}
}

// TestHealReadsNoOtherTopic: entries of other engines may name any source.
func TestHealReadsNoOtherTopic(t *testing.T) {
	c := cluster{}
	secret := c.add("payments", []byte(`{"type":"loyalty","channel":"sms","ctx":{}}`))
	c.log(secret, "x", topology.NotCovered, noTemplate, 0)
	outcome := heal(t, c, find(t, c, nil, uncovered.Filter{}), catalogueOf(t, "loyalty", 0))
	if outcome.Healed != 0 || outcome.Gone != 1 || len(c["payments"]) != 1 {
		t.Errorf("outcome %+v", outcome)
	}
}

func TestHealKeepsThePace(t *testing.T) {
	c := cluster{}
	for range 1200 {
		r := c.add(names.Events(topology.Realtime), []byte(`{"type":"loyalty","channel":"sms","ctx":{}}`))
		c.log(r, topology.PositionID(topology.Realtime, 0, r.Offset), topology.NotCovered, noTemplate, 0)
	}
	stop := errors.New("stop")
	paced := 0
	h := uncovered.Healer{
		Names: names, Topics: c, Catalogue: catalogueOf(t, "loyalty", 0), To: c, Now: func() time.Time { return now },
		Pace: func(_ context.Context, n int) error {
			if paced+n > 900 {
				return stop
			}
			paced += n
			return nil
		},
	}
	outcome, err := h.Heal(t.Context(), find(t, c, nil, uncovered.Filter{}), nil)
	if !errors.Is(err, stop) || outcome.Healed != paced || paced < 898 {
		t.Errorf("healed %d of %d paced, %v", outcome.Healed, paced, err)
	}
}
