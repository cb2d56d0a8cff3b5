package tasks

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

var (
	names = topology.Topics{Prefix: topology.DefaultPrefix, Build: "2.0"}
	now   = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
)

const (
	lane       = topology.Realtime
	noTemplate = topology.ReasonNoTemplateForType
)

// cluster is topics with one partition each, in memory.
type cluster struct {
	sync.Mutex
	topics map[topology.Topic][]topology.Record
	lost   int64 // records of each range that nobody can read
}

func newCluster() *cluster { return &cluster{topics: map[topology.Topic][]topology.Record{}} }

func (c *cluster) add(topic topology.Topic, value []byte, headers ...topology.Header) topology.Record {
	return c.write(topology.Record{Topic: topic, Value: value, Headers: headers})
}

func (c *cluster) write(r topology.Record) topology.Record {
	c.Lock()
	defer c.Unlock()
	r.Offset, r.Time = int64(len(c.topics[r.Topic])), now
	c.topics[r.Topic] = append(c.topics[r.Topic], r)
	return r
}

// read is what a topic has.
func (c *cluster) read(topic topology.Topic) []topology.Record {
	c.Lock()
	defer c.Unlock()
	return slices.Clone(c.topics[topic])
}

func (c *cluster) Ranges(_ context.Context, topic topology.Topic, _ time.Time) ([]scan.Range, error) {
	records := c.read(topic)
	for len(records) > 0 && records[0].Value == nil { // as if removed by retention
		records = records[1:]
	}
	if len(records) == 0 {
		return nil, nil
	}
	return []scan.Range{{Topic: topic, From: records[0].Offset, To: records[len(records)-1].Offset + 1}}, nil
}

func (c *cluster) Scan(_ context.Context, ranges []scan.Range, progress *scan.Progress,
	handle func([]topology.Record) error) error {
	for _, r := range ranges {
		if progress != nil {
			progress.Lost.Add(c.lost)
		}
		for records := range slices.Chunk(c.read(r.Topic)[r.From:r.To], 3) {
			if err := handle(records); err != nil {
				return err
			}
		}
	}
	return nil
}

// Publish appends the records to their topics.
func (c *cluster) Publish(_ context.Context, _ int, records []topology.Record) ([]int, error) {
	for _, r := range records {
		c.write(r)
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

// folded are the statuses of all events, as the log has them.
func (c *cluster) folded() statuses {
	all := statuses{}
	for _, r := range c.read(names.DeliveryLog(lane)) {
		if entry, err := topology.DecodeEntry(r.Value); err == nil {
			state, next := all[entry.EventID], topology.StateOf(&entry)
			state.Merge(&next)
			all[entry.EventID] = state
		}
	}
	return all
}

func (c *cluster) publishEvent(id, eventType string) topology.Record {
	return c.add(names.Events(lane), fmt.Appendf(nil,
		`{"id":%q,"type":%q,"channel":"sms","mobilePhone":"+4670","language":"sv-FI","ctx":{}}`, id, eventType))
}

// log appends an entry about the event in a record.
func (c *cluster) log(r topology.Record, id topology.EventID, status topology.Status, reason topology.Reason,
	attempt int) {
	entry := entryOf(r, id, status, reason, attempt)
	c.add(names.DeliveryLog(lane), entry.Append(nil))
}

func entryOf(r topology.Record, id topology.EventID, status topology.Status, reason topology.Reason,
	attempt int) topology.Entry {
	receipt := topology.ReceiptOf(&r)
	return topology.Entry{
		EventID: id, Lane: lane, Redrives: receipt.Redrives, Attempt: attempt, Status: status, Reason: reason,
		Type: "loyalty", Channel: topology.SMS, Language: "sv-FI", Source: receipt.Source, ReceivedAt: receipt.At, At: now,
	}
}

func stateOf(redrives int, status topology.Status, reason topology.Reason) topology.State {
	e := topology.Entry{Redrives: redrives, Status: status, Reason: reason, At: now}
	if status == topology.Sent || status == topology.DeliveryError {
		e.Attempt = 1
	}
	return topology.StateOf(&e)
}

// resend is a task about all of the delivery log that the filter means.
func (c *cluster) resend(filter topology.TaskFilter) *topology.TaskSpec {
	return &topology.TaskSpec{Kind: topology.ResendEvents, Lane: lane, Rate: 1000, Count: 1e6, Filter: filter,
		Ranges: []topology.TaskRange{{To: int64(len(c.read(names.DeliveryLog(lane))))}}}
}

var uncovered = topology.TaskFilter{Statuses: []topology.Status{topology.NotCovered}}

func (c *cluster) engine(s statuses, live *catalogue.Catalogue) *Engine {
	return &Engine{Names: names, Topics: c, Statuses: s, Live: func() *catalogue.Catalogue { return live },
		Now: func() time.Time { return now.Add(time.Minute) }}
}

func (c *cluster) find(t *testing.T, s statuses, filter topology.TaskFilter) []Event {
	t.Helper()
	engine := c.engine(s, nil)
	events, err := engine.Find(t.Context(), c.resend(filter), nil)
	if err == nil {
		events, err = engine.Still(t.Context(), &filter, events)
	}
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func (c *cluster) preview(t *testing.T, s statuses, live *catalogue.Catalogue, spec *topology.TaskSpec) Preview {
	t.Helper()
	p, err := c.engine(s, live).Preview(t.Context(), spec, new(scan.Progress))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ids(events []Event) []topology.EventID {
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
