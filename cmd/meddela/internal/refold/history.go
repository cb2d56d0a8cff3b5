package refold

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/notify"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// History is what the topics have about an event.
type History struct {
	ID    topology.EventID `json:"event_id"`
	State *topology.State  `json:"status,omitempty"` // that it makes
	Steps []Step           `json:"steps"`
	Read  []Read           `json:"read"` // where it was looked for
}

// Read is what was read of a partition. What was before Kept has been removed.
type Read struct {
	scan.Range
	Kept int64 `json:"kept_from"`
}

// Step is one record about an event.
type Step struct {
	At     time.Time       `json:"at"`
	Record topology.Source `json:"record"`
	Words  string          `json:"words"`
	Entry  json.RawMessage `json:"entry,omitempty"` // of the delivery log

	state topology.State
}

// HistoryOf reads what there is about an event up to a time, zero for now, in one partition: that of its source, from
// a minute before Redis knows of it to ten minutes after its last change; or, of what Redis does not know, that
// which its id as key chooses, of both lanes.
func (l *Log) HistoryOf(ctx context.Context, id topology.EventID, known *topology.State, until time.Time,
	progress *scan.Progress) (*History, error) {
	of := &Log{Topics: l.Topics, Names: l.Names, Lanes: topology.Lanes()}
	if topic, partition, _, placed := known.Source.Split(); placed {
		lane, _ := l.Names.LaneOf(topic)
		of.Lanes, of.Partitions, of.Since = []topology.Lane{lane}, []int{partition}, known.PendingAt.Add(-time.Minute)
		of.Until = later(known.UpdatedAt, known.Scheduled).Add(10 * time.Minute)
	} else {
		leaders, err := wire.LeadersOf(ctx, l.Topics.Addr, l.Topics.Transport, l.Names.Events(topology.Realtime))
		if err != nil {
			return nil, err
		}
		for i := range leaders {
			of.Partitions = append(of.Partitions, i)
		}
		var balancer kafka.Murmur2Balancer
		of.Partitions = []int{balancer.Balance(kafka.Message{Key: []byte(id)}, of.Partitions...)}
	}
	others := func(lane topology.Lane) []topology.Topic {
		waits := append(l.Names.Reads(topology.RoleDelay, lane), l.Names.Notices(lane), l.Names.DeadLetters(lane))
		return append(waits, l.jobs(lane)...)
	}
	ranges, err := of.ranges(ctx, others)
	if err != nil {
		return nil, err
	}
	h := &History{ID: id, Steps: []Step{}}
	for _, r := range ranges {
		kept, err := l.Topics.Kept(ctx, r.Topic, r.Partition)
		if err != nil {
			return nil, err
		}
		h.Read = append(h.Read, Read{r, kept[0].From})
	}
	var mu sync.Mutex
	err = l.Topics.Scan(ctx, ranges, progress, func(records []topology.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range records {
			if step, ok := l.step(&records[i], id); ok && (until.IsZero() || !step.At.After(until)) {
				h.Steps = append(h.Steps, step)
			}
		}
		return nil
	})
	slices.SortFunc(h.Steps, func(a, b Step) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Record, b.Record)) })
	for i := range h.Steps {
		if s := h.Steps[i].state; s.Status != "" {
			h.State = cmp.Or(h.State, &topology.State{EventID: id})
			h.State.Merge(&s)
		}
	}
	return h, err
}

// step is what a record says of an event, if it is about that.
func (l *Log) step(r *topology.Record, id topology.EventID) (step Step, about bool) {
	lane, _ := l.Names.LaneOf(r.Topic)
	step = Step{At: r.Time, Record: r.Source()}
	text := func(key string) string { v, _ := r.Header(key); return string(v) }
	of, isKey := topology.EventID(""), string(r.Key) == string(id)
	switch {
	case r.Topic == l.Names.Events(lane) || r.Topic == l.Names.Redrive(lane):
		step.state = status.StateOf(l.Names, r)
		of = step.state.EventID
		step.Words = fmt.Sprintf("received: type %s, channel %s, redrive %d", step.state.Type, step.state.Channel,
			step.state.Redrives)
	case r.Topic == l.Names.DeadLetters(lane):
		letter := topology.LetterOf(r)
		if s := status.StateOf(l.Names, &letter.Original); isKey || s.EventID == id {
			of = id
		}
		step.Words = fmt.Sprintf("dead letter of role %s: %s: %s", text(topology.HeaderRole), text(topology.HeaderReason),
			text(topology.HeaderError))
	case !isKey && !bytes.Contains(r.Value, []byte(id)):
	case slices.Contains(append(l.jobs(lane), l.Names.Reads(topology.RoleDelay, lane)...), r.Topic):
		job, _ := topology.DecodeJob(r.Value)
		of = job.EventID
		step.Words = fmt.Sprintf("job: template %s in %s, attempt %d", job.Template, job.Language, job.Attempt)
		if r.Topic != l.Names.Jobs(lane) {
			step.Words = fmt.Sprintf("held until %s: attempt %d", cmp.Or(text(topology.HeaderDue), "it is resumed"), job.Attempt)
		}
	default:
		e, _ := topology.DecodeEntry(r.Value)
		of = e.EventID
		if r.Topic == l.Names.Notices(lane) {
			step.Words = fmt.Sprintf("notice to webhook %s, tried %s times", text(notify.HeaderWebhook),
				text(notify.HeaderTries))
			break
		}
		step.state, step.At, step.Entry = topology.StateOf(&e), e.At, r.Value
		step.Words = strings.Join(strings.Fields(fmt.Sprintf("%s: attempt %d, redrive %d %s %s %s %s %s", e.Status.Label(),
			e.Attempt, e.Redrives, e.Reason, e.Template, e.Provider, e.ProviderMessageID, e.Detail)), " ")
	}
	return step, of == id
}
