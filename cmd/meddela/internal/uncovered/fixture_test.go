package uncovered_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/uncovered"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

var (
	names = topology.Topics{Prefix: topology.DefaultPrefix}
	now   = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
)

// cluster is topics with one partition each, in memory.
type cluster map[topology.Topic][]topology.Record

func (c cluster) add(topic topology.Topic, value []byte, headers ...topology.Header) topology.Record {
	r := topology.Record{Topic: topic, Offset: int64(len(c[topic])), Time: now, Value: value, Headers: headers}
	c[topic] = append(c[topic], r)
	return r
}

func (c cluster) Ranges(_ context.Context, topic topology.Topic, _ time.Time) ([]scan.Range, error) {
	records := c[topic]
	for len(records) > 0 && records[0].Value == nil { // as if removed by retention
		records = records[1:]
	}
	if len(records) == 0 {
		return nil, nil
	}
	return []scan.Range{{Topic: topic, From: records[0].Offset, To: int64(len(c[topic]))}}, nil
}

func (c cluster) Scan(_ context.Context, ranges []scan.Range, _ *scan.Progress,
	handle func([]topology.Record) error) error {
	for _, r := range ranges {
		for records := range slices.Chunk(c[r.Topic][r.From:r.To], 3) {
			if err := handle(records); err != nil {
				return err
			}
		}
	}
	return nil
}

// Publish appends the records to the topic.
func (c cluster) Publish(_ context.Context, _ int, records []topology.Record) ([]int, error) {
	for _, r := range records {
		c.add(r.Topic, r.Value, r.Headers...)
	}
	return nil, nil
}

// statuses are what Redis has.
type statuses map[topology.EventID]topology.State

func (s statuses) GetMany(_ context.Context, ids []topology.EventID) ([]status.Answer, error) {
	answers := make([]status.Answer, len(ids))
	for i, id := range ids {
		answers[i].State, answers[i].Found = s[id]
	}
	return answers, nil
}

func (c cluster) publishEvent(lane topology.Lane, id, eventType string) topology.Record {
	return c.add(names.Events(lane), fmt.Appendf(nil,
		`{"id":%q,"type":%q,"channel":"sms","mobilePhone":"+4670","language":"sv-FI","ctx":{}}`, id, eventType))
}

// log appends an entry about the event in a record.
func (c cluster) log(r topology.Record, id topology.EventID, status topology.Status, reason topology.Reason,
	attempt int) {
	receipt := topology.ReceiptOf(&r)
	entry := topology.Entry{
		EventID: id, Lane: topology.Realtime, Redrives: receipt.Redrives, Attempt: attempt, Status: status, Reason: reason,
		Type: "loyalty", Channel: topology.SMS, Language: "sv-FI", Source: receipt.Source, ReceivedAt: receipt.At, At: now,
	}
	c.add(names.DeliveryLog(topology.Realtime), entry.Append(nil))
}

func find(t *testing.T, c cluster, s statuses, filter uncovered.Filter) []uncovered.Event {
	t.Helper()
	filter.Lane = topology.Realtime
	finder := uncovered.Finder{Names: names, Topics: c, Statuses: s}
	events, err := finder.Find(t.Context(), filter, nil)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func ids(events []uncovered.Event) []topology.EventID {
	var all []topology.EventID
	for _, e := range events {
		all = append(all, e.EventID)
	}
	return all
}

func catalogueOf(t *testing.T, eventType string, ttl time.Duration) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.New(topology.TemplateRecord{
		Name: eventType, Version: "1", Types: []string{eventType}, Channel: topology.SMS, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": {template.SMSText: "Hello"}}, TTL: topology.Duration(ttl),
		PublishedAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
