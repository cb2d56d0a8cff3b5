package uncovered

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// Healer publishes one list of events again, those that are covered now.
type Healer struct {
	Names     topology.Topics
	Topics    scanner
	Catalogue *catalogue.Catalogue
	To        authoring.Writer                            // where the events go; nowhere if nil
	Pace      func(ctx context.Context, events int) error // if set, is called before so many are published, and may wait
	Now       func() time.Time                            // the clock

	mu      sync.Mutex // one batch at a time is paced and published
	wanted  map[topology.Source]*Event
	outcome Outcome
}

// Outcome is what became of the events that were not covered.
type Outcome struct {
	Uncovered  int                          `json:"uncovered"`
	DryRun     bool                         `json:"dry_run"`
	Healed     int                          `json:"healed"`                // published again
	ByTemplate map[topology.TemplateRef]int `json:"by_template,omitempty"` // the healed ones, by what covers them now
	Left       map[topology.Reason]int      `json:"left,omitempty"`        // still not covered, or not valid any more
	Gone       int                          `json:"gone"`                  // their topic does not have them any more
}

// publishAtOnce bounds what is published between two calls of Pace.
const publishAtOnce = 500

// Heal publishes the events again for which there is a template now, each to the partition
// that it came from. An error leaves those behind it: to repeat the whole is safe.
func (h *Healer) Heal(ctx context.Context, events []Event, progress *scan.Progress) (Outcome, error) {
	h.outcome = Outcome{
		Uncovered: len(events), DryRun: h.To == nil,
		ByTemplate: map[topology.TemplateRef]int{}, Left: map[topology.Reason]int{},
	}
	h.wanted = make(map[topology.Source]*Event, len(events))
	for i := range events {
		h.wanted[events[i].Source] = &events[i]
	}
	ranges, err := h.ranges(ctx, events)
	if err != nil {
		return h.outcome, err
	}
	err = h.Topics.Scan(ctx, ranges, progress, func(records []topology.Record) error { return h.take(ctx, records) })
	if err == nil {
		h.outcome.Gone = len(h.wanted)
	}
	return h.outcome, err
}

// joinWithin is how many offsets are read in vain rather than begin a new range.
const joinWithin = 2000

// ranges are those that have the events, which are sorted, and are still kept.
func (h *Healer) ranges(ctx context.Context, events []Event) ([]scan.Range, error) {
	kept := make(map[topology.Topic][]scan.Range)
	var ranges []scan.Range
	for i := range events {
		topic, partition, offset, _ := events[i].Source.Split()
		if lane, ours := h.Names.LaneOf(topic); !ours || topic != h.Names.Events(lane) {
			continue // another's entry, that names no record of ours
		}
		if kept[topic] == nil {
			all, err := h.Topics.Ranges(ctx, topic, time.Time{})
			if err != nil {
				return nil, err
			}
			kept[topic] = all
		}
		if !slices.ContainsFunc(kept[topic], func(r scan.Range) bool {
			return r.Partition == partition && r.From <= offset && offset < r.To
		}) {
			continue
		}
		if n := len(ranges); n > 0 {
			if last := &ranges[n-1]; last.Topic == topic && last.Partition == partition && offset-last.To < joinWithin {
				last.To = max(last.To, offset+1)
				continue
			}
		}
		ranges = append(ranges, scan.Range{Topic: topic, Partition: partition, From: offset, To: offset + 1})
	}
	return ranges, nil
}

// take publishes those of the records again that are wanted, and covered now.
func (h *Healer) take(ctx context.Context, records []topology.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var again []topology.Record
	var refs []topology.TemplateRef
	for i := range records {
		r := &records[i]
		source := r.Source()
		event, wanted := h.wanted[source]
		if !wanted {
			continue
		}
		delete(h.wanted, source)
		decision := h.decide(r)
		if decision.Status != topology.PendingDelivery {
			h.outcome.Left[decision.Reason]++
			continue
		}
		receipt := topology.ReceiptOf(r)
		receipt.Redrives = event.Redrives
		lane, _ := h.Names.LaneOf(r.Topic)
		again = append(again, h.Names.Again(lane, *r, event.EventID, receipt))
		refs = append(refs, decision.Template)
	}
	return h.publish(ctx, again, refs)
}

// decide is what the matcher will do with an event that is published again.
func (h *Healer) decide(r *topology.Record) match.Decision {
	lane, _ := h.Names.LaneOf(r.Topic)
	event, err := h.Names.DecodeEvent(*r, lane)
	if err != nil {
		return match.Decision{Status: topology.NotCovered, Reason: topology.ReasonInvalid}
	}
	return match.Decide(&event, topology.ReceiptOf(r).At, h.Catalogue, h.Now(), nil)
}

func (h *Healer) publish(ctx context.Context, records []topology.Record, refs []topology.TemplateRef) error {
	for len(records) > 0 {
		n := min(len(records), publishAtOnce)
		if h.Pace != nil {
			if err := h.Pace(ctx, n); err != nil {
				return err
			}
		}
		var refused []int
		if h.To != nil {
			var err error
			if refused, err = h.To.Publish(ctx, records[0].Partition, records[:n]); err != nil {
				return fmt.Errorf("publishing events again: %w", err)
			}
		}
		for i, ref := range refs[:n] {
			if slices.Contains(refused, i) {
				h.outcome.Left[topology.ReasonTopicRejected]++
				continue
			}
			h.outcome.Healed++
			h.outcome.ByTemplate[ref]++
		}
		records, refs = records[n:], refs[n:]
	}
	return nil
}
