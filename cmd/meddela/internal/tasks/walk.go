package tasks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// Engine finds what tasks are about, and judges what of it is to be published again.
type Engine struct {
	Names    topology.Topics
	Topics   scanner
	Statuses statusReader
	Live     func() *catalogue.Catalogue
	Now      func() time.Time // the clock
}

type scanner interface {
	Ranges(ctx context.Context, topic topology.Topic, since time.Time) ([]scan.Range, error)
	Scan(ctx context.Context, ranges []scan.Range, progress *scan.Progress, handle func([]topology.Record) error) error
}

// statusReader reads the status of events, with an answer for each id.
type statusReader interface {
	GetMany(ctx context.Context, ids []topology.EventID) ([]status.Answer, error)
}

// Why an event is not published again, where that is no reason of the contract.
const (
	NoEvent       = "no_event"       // a dead letter that keeps none that could be published
	NoStatus      = "no_status"      // Redis does not know what became of it
	InProgress    = "in_progress"    // it has not come to an end
	Changed       = "changed"        // it has come to another end since
	RedrivenSince = "redriven_since" // by this task, or another
	RedrivenOften = "redriven_often"
	WasSent       = "sent" // or may have been
	SameBuild     = "same_build"
	Gone          = "gone"        // its topic does not have it any more
	Unread        = "unread"      // what it is on, or tells of it, was removed meanwhile or cannot be read
	Unconfirmed   = "unconfirmed" // more could be published than when the task was made
)

// Explained says what refusals mean, and what can be done.
var Explained = map[string]string{
	NoEvent:                        "no event is kept: what failed was no event or job, or too large",
	NoStatus:                       "Redis knows nothing of it, so it may have been sent",
	InProgress:                     "it is still on its way, or a copy of it may be",
	Changed:                        "it has come to another end since",
	RedrivenSince:                  "it has been published again since",
	RedrivenOften:                  "it has been redriven three times, and is no better",
	WasSent:                        "it was sent, or may have been: --new-message sends another message",
	SameBuild:                      "it crashed this build, or one that is not known: use one that is mended",
	Gone:                           "its topic does not have it any more",
	Unread:                         "records were removed before they were read, or cannot be: what they were of is not known",
	Unconfirmed:                    "it can be published only since the task was made: another task may",
	string(topology.ReasonExpired): "its validity has ended: --expired has its template's ttl begin anew",
}

// walkAtOnce is how many partitions hold a fetch while they wait for their turn to publish.
const walkAtOnce = 4

// mostRedrives ends loops.
const mostRedrives = 3

// Item is an event that a task has come to.
type Item struct {
	ID       topology.EventID
	Offset   int64           // where the task is
	Record   topology.Record // the event's own
	Receipt  topology.Receipt
	State    topology.State // as the log has it; of a dead letter nothing
	Letter   *topology.Letter
	Refused  string // why it is not published
	Template topology.TemplateRef
}

// refusal says why an event is not published, by what Redis knows of it.
func refusal(spec *topology.TaskSpec, i *Item, live *status.Answer, build string) string {
	s := i.State
	s.Merge(&live.State) // which is of the least rank where nothing is known
	crashed := s.Reason == topology.ReasonInternalError
	mayBeSent := s.Status == topology.Sent || s.Reason == topology.ReasonAmbiguous ||
		crashed && s.Status == topology.DeliveryError
	switch {
	case i.Refused != "":
		return i.Refused
	case live.Err != nil || !live.Found:
		return NoStatus
	case s.Redrives > i.Receipt.Redrives:
		return RedrivenSince
	case !s.Status.Final(), mayHaveJob(&s) && !spec.NewMessage:
		return InProgress
	case i.Letter == nil && !matches(&spec.Filter, &s):
		return Changed
	case mayBeSent && !spec.NewMessage:
		return WasSent
	case i.Letter != nil && !spec.NewMessage && !endedBy(s.Reason):
		return Changed
	case i.Receipt.Redrives >= mostRedrives:
		return RedrivenOften
	case i.Letter == nil && crashed && !mayBeSent,
		i.Letter != nil && i.Letter.Reason == topology.ReasonInternalError && i.Letter.Build == build:
		return SameBuild
	}
	return ""
}

// endedBy reports whether what ended an event is what a dead letter was written of.
func endedBy(reason topology.Reason) bool {
	return reason == topology.ReasonInvalid || reason == topology.ReasonInternalError ||
		reason == topology.ReasonTopicRejected
}

// mayHaveJob reports whether match has made a job of an event, or tried to, and said of it since, as of another copy
// or another reading, that it has none: the job may be on its way.
func mayHaveJob(s *topology.State) bool {
	return s.Redrives == 0 && s.Attempt == 0 && !s.PendingDeliveryAt.IsZero()
}

// judge says of each item whether it is published.
func (e *Engine) judge(ctx context.Context, spec *topology.TaskSpec, items []Item) error {
	ids := make([]topology.EventID, len(items))
	for k := range items {
		ids[k] = items[k].ID
	}
	answers, err := e.Statuses.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	for k := range items {
		i := &items[k]
		if at := answers[k].State.PendingAt; i.Letter != nil && !at.IsZero() && at.Before(i.Receipt.At) {
			i.Receipt.At = at // a dead letter says when it failed only
		}
		if spec.Expired {
			i.Receipt.At = e.Now()
		}
		if i.Refused = refusal(spec, i, &answers[k], e.Names.Build); i.Refused != "" {
			continue
		}
		event, err := e.Names.DecodeEvent(i.Record, spec.Lane)
		if fault, bad := errors.AsType[*topology.Fault](err); bad {
			i.Refused = string(fault.Reason)
			continue
		}
		decision := match.Decide(&event, i.Receipt.At, e.Live(), e.Now(), nil)
		if i.Template = decision.Template; decision.Status != topology.PendingDelivery {
			i.Refused = string(decision.Reason)
		}
	}
	return nil
}

// walk gives what a task is about, but for what is done: items of one partition, and the offset up to which that is.
// Partitions are walked side by side, each in order. Lost is of the topic that tells what the task is about.
func (e *Engine) walk(ctx context.Context, spec *topology.TaskSpec, next map[int]int64, progress *scan.Progress,
	give func(partition int, items []Item, upTo int64) error) error {
	var one sync.Mutex // guards wanted
	var wanted map[topology.Source]*Event
	var gone []Item
	told := new(scan.Progress)
	walked := told
	ranges := RangesOf(e.Names.DeadLetters(spec.Lane), spec.Ranges)
	if spec.Kind == topology.ResendEvents {
		found, err := e.Find(ctx, spec, told)
		if err != nil {
			return err
		}
		if wanted, gone, ranges, err = e.places(ctx, spec, found, next); err != nil {
			return err
		}
		walked = nil // each event that is gone is told of
	}
	itemsOf := func(records []topology.Record) (items []Item) {
		one.Lock()
		defer one.Unlock()
		for i := range records {
			r := &records[i]
			if spec.Kind == topology.RedriveLetters {
				if letter := topology.LetterOf(r); Means(&spec.Filter, &letter) {
					items = append(items, e.ofLetter(spec, r, &letter))
				}
			} else if event := wanted[r.Source()]; event != nil {
				delete(wanted, r.Source())
				item := Item{ID: event.EventID, Offset: r.Offset, Record: *r, Receipt: topology.ReceiptOf(r), State: event.State}
				item.Receipt.Redrives = event.Chosen
				items = append(items, item)
			}
		}
		return items
	}
	byPartition := make(map[int][]scan.Range)
	for _, r := range ranges {
		r.From = min(max(r.From, next[r.Partition]), r.To)
		byPartition[r.Partition] = append(byPartition[r.Partition], r)
		progress.Total.Add(r.Size())
	}
	group, walking := errgroup.WithContext(ctx)
	group.SetLimit(walkAtOnce)
	for partition, ranges := range byPartition {
		group.Go(func() error {
			for _, r := range ranges {
				err := e.Topics.Scan(walking, []scan.Range{r}, walked, func(records []topology.Record) error {
					upTo := records[len(records)-1].Offset + 1
					progress.Done.Add(upTo - r.From)
					r.From = upTo
					return give(partition, itemsOf(records), upTo)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	progress.Lost.Store(told.Lost.Load())
	for _, event := range wanted { // compacted, or removed meanwhile
		gone = append(gone, goneOf(event))
	}
	if err != nil || len(gone) == 0 {
		return err
	}
	return give(-1, gone, 0)
}

// RangesOf are ranges of a topic.
func RangesOf(topic topology.Topic, of []topology.TaskRange) (ranges []scan.Range) {
	for _, r := range of {
		ranges = append(ranges, scan.Range{Topic: topic, ID: r.ID, Partition: r.Partition, From: r.From, To: r.To})
	}
	return ranges
}

// joinWithin is how many offsets are read in vain rather than begin a new range.
const joinWithin = 2000

func goneOf(event *Event) Item { return Item{ID: event.EventID, State: event.State, Refused: Gone} }

// places are where events are that are still to be done, which are sorted, those that are gone, and the ranges of the
// events topic that have the others.
func (e *Engine) places(ctx context.Context, spec *topology.TaskSpec, events []Event, next map[int]int64) (
	wanted map[topology.Source]*Event, gone []Item, ranges []scan.Range, err error) {
	kept, err := e.Topics.Ranges(ctx, e.Names.Events(spec.Lane), time.Time{})
	wanted = make(map[topology.Source]*Event, len(events))
	for i := range events {
		topic, partition, offset, _ := events[i].Source.Split()
		ours := topic == e.Names.Events(spec.Lane) // else another's entry, that names no record of ours
		if ours && offset < next[partition] {
			continue
		}
		of := slices.IndexFunc(kept, func(r scan.Range) bool {
			return r.Partition == partition && r.From <= offset && offset < r.To
		})
		if !ours || of < 0 {
			gone = append(gone, goneOf(&events[i]))
			continue
		}
		wanted[events[i].Source] = &events[i]
		if n := len(ranges); n > 0 {
			if last := &ranges[n-1]; last.Partition == partition && offset-last.To < joinWithin {
				last.To = max(last.To, offset+1)
				continue
			}
		}
		ranges = append(ranges, scan.Range{Topic: topic, ID: kept[of].ID, Partition: partition, From: offset, To: offset + 1})
	}
	return wanted, gone, ranges, err
}

// Means reports whether a filter means a dead letter.
func Means(f *topology.TaskFilter, l *topology.Letter) bool {
	return (f.Reason == "" || f.Reason == l.Reason) && (f.Role == "" || f.Role == l.Role) &&
		(f.Topic == "" || f.Topic == l.Original.Topic) && (f.Build == "" || f.Build == l.Build)
}

// ofLetter is the event of a dead letter: the record itself, as it failed in match, or that of a job, wherever
// it was to go. All else is no event of its own: entries and notices tell of one that has gone its way.
func (e *Engine) ofLetter(spec *topology.TaskSpec, r *topology.Record, l *topology.Letter) Item {
	o := l.Original
	i := Item{Offset: r.Offset, Record: o, Letter: l}
	lane, ours := e.Names.LaneOf(o.Topic)
	job, fault := topology.DecodeJob(o.Value)
	switch {
	case o.Value == nil || !ours || lane != spec.Lane:
		i.Refused = NoEvent
	case l.Role == topology.RoleMatch && l.Reason != topology.ReasonTopicRejected && // which is of what it came to
		(o.Topic == e.Names.Events(lane) || o.Topic == e.Names.Redrive(lane)):
		event, _ := e.Names.DecodeEvent(o, lane)
		i.ID, i.Receipt = event.ID, topology.ReceiptOf(&o)
	case fault == nil && o.Topic != e.Names.DeliveryLog(lane):
		i.ID, i.Record.Value = job.EventID, job.Event
		i.Receipt = topology.Receipt{Redrives: job.Redrives, Source: job.Source, At: job.ReceivedAt}
	default:
		i.Refused = NoEvent
	}
	return i
}

// Preview is what a task would do.
type Preview struct {
	Matched   int64                          `json:"matched"`
	Published int64                          `json:"published"`
	Refused   map[string]int64               `json:"refused"`
	Reasons   map[topology.Reason]int64      `json:"reasons"` // of those to be published: why they failed
	Templates map[topology.TemplateRef]int64 `json:"templates"`
	Samples   []Sample                       `json:"samples"`
}

// Sample is one event that would be published.
type Sample struct {
	ID     topology.EventID `json:"event_id"`
	Reason topology.Reason  `json:"reason"`
	Source topology.Source  `json:"source"`
}

const mostSamples = 5

// Preview says what a task would do, and does nothing.
func (e *Engine) Preview(ctx context.Context, spec *topology.TaskSpec, progress *scan.Progress) (Preview, error) {
	p := Preview{Refused: map[string]int64{}, Reasons: map[topology.Reason]int64{},
		Templates: map[topology.TemplateRef]int64{}, Samples: []Sample{}}
	var mu sync.Mutex
	err := e.walk(ctx, spec, nil, progress, func(_ int, items []Item, _ int64) error {
		if err := e.judge(ctx, spec, items); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for k := range items {
			i := &items[k]
			p.Matched++
			if i.Refused != "" {
				p.Refused[i.Refused]++
				continue
			}
			reason := i.State.Reason
			if i.Letter != nil {
				reason = i.Letter.Reason
			}
			p.Published++
			p.Reasons[reason]++
			p.Templates[i.Template]++
			if len(p.Samples) < mostSamples {
				p.Samples = append(p.Samples, Sample{i.ID, reason, i.Receipt.Source})
			}
		}
		return nil
	})
	if lost := progress.Lost.Load(); lost > 0 {
		p.Refused[Unread] = lost
	}
	return p, err
}
