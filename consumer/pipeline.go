package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// pipeline runs one partition: while one batch is being acknowledged the next
// is handled and the one after that fetched. The order of the lines in deliver
// is the delivery guarantee.
type pipeline struct {
	*generation
	topic     topology.Topic
	partition int
	fetcher   Fetcher
	tracker   *tracker
	waiting   retry.Warner // that the handler waits for a server
	log       zerolog.Logger
}

// fetched is a batch on its way to the handler.
type fetched struct {
	Batch
	next int64
}

// handled is a handler's output on its way to Kafka, and the offset to commit
// once it is there.
type handled struct {
	out  []topology.Record
	next int64
	work bool // there were records
}

func (g *generation) newPipeline(topic topology.Topic, assigned kafka.PartitionAssignment) *pipeline {
	p := &pipeline{
		generation: g,
		topic:      topic,
		partition:  assigned.ID,
		fetcher: Fetcher{
			Addr:      kafka.TCP(g.loop.config.Brokers...),
			Transport: g.loop.config.Transport,
			Topic:     topic,
			Partition: assigned.ID,
			MaxBytes:  g.loop.config.FetchBytes,
			MaxWait:   g.loop.config.FetchWait,
			Only:      g.loop.config.Only,
		},
		tracker: newTracker(topic, assigned.ID, time.Now()),
		log:     g.loop.log.With().Str("topic", string(topic)).Int("partition", assigned.ID).Logger(),
	}
	p.fetcher.SeekTo(assigned.Offset)
	return p
}

func (p *pipeline) run() {
	defer p.loop.stats.track(p.tracker)()
	if p.loop.config.Parallel > 1 {
		p.runParallel()
		return
	}
	batches := make(chan fetched, 1)
	outputs := make(chan handled, 1)
	var stages errgroup.Group
	stages.Go(func() error { defer close(batches); p.fetchAll(batches); return nil })
	stages.Go(func() error { defer close(outputs); p.handleAll(batches, outputs); return nil })
	for h := range outputs {
		if !p.deliver(h) {
			break
		}
	}
	for range outputs { // lost: what is left is the next owner's to do again
	}
	_ = stages.Wait()
}

// deliver publishes every output, waits for the acknowledgement, and only then
// lets the input be committed. It reports whether the partition is still ours.
func (p *pipeline) deliver(h handled) bool {
	if p.working.Err() != nil {
		return false
	}
	if err := p.publish(p.publishing, h.out); err != nil {
		return false
	}
	p.acknowledge(h.next, h.work)
	p.loop.stats.out.Add(int64(len(h.out)))
	return true
}

// acknowledge lets everything below next be committed.
func (p *pipeline) acknowledge(next int64, work bool) {
	p.ledger.ack(string(p.topic), p.partition, next, work)
	p.tracker.reached(next, time.Now())
}

// publish writes the outputs, those of different topics side by side.
func (p *pipeline) publish(ctx context.Context, out []topology.Record) error {
	groups := byTopic(out)
	if len(groups) == 0 {
		return nil
	}
	defer p.tracker.awaitKafka()()
	var others errgroup.Group
	for _, group := range groups[1:] {
		others.Go(func() error { return p.publishTopic(ctx, group) })
	}
	err := p.publishTopic(ctx, groups[0])
	if otherErr := others.Wait(); err == nil {
		err = otherErr
	}
	return err
}

func (p *pipeline) publishTopic(ctx context.Context, records []topology.Record) error {
	refused, err := p.loop.config.Publisher.Publish(ctx, records[0].Topic, p.partition, records)
	if err == nil && records[0].Topic == p.deadLetters() {
		p.loop.stats.deadLetters.Add(int64(len(records)))
	}
	if err != nil || len(refused) == 0 {
		return err
	}
	letters := make([]topology.Record, 0, len(refused))
	for _, i := range refused {
		letters = append(letters, p.deadLetter(&records[i], &topology.Fault{
			Reason: topology.ReasonTopicRejected,
			Detail: "the topic does not take this record: see its max.message.bytes, or run `meddela topics apply`",
		}))
	}
	lost, err := p.loop.config.Publisher.Publish(ctx, letters[0].Topic, p.partition, letters)
	if err == nil {
		p.loop.stats.deadLetters.Add(int64(len(letters)))
	}
	if len(lost) > 0 {
		p.log.Error().Str("target", string(records[0].Topic)).Int("records", len(lost)).
			Msg("neither the topic nor the dead letters take these records; they are only on the topic that they were read from")
	}
	return err
}

// byTopic splits records by topic, keeping their order. A batch has few
// topics, so a scan beats a map.
func byTopic(out []topology.Record) [][]topology.Record {
	var groups [][]topology.Record
next:
	for i := range out {
		for g := range groups {
			if groups[g][0].Topic == out[i].Topic {
				groups[g] = append(groups[g], out[i])
				continue next
			}
		}
		group := make([]topology.Record, 0, len(out)-i)
		groups = append(groups, append(group, out[i]))
	}
	return groups
}

func (p *pipeline) deadLetters() topology.Topic {
	return p.loop.config.Names.DeadLetters(p.loop.config.Lane)
}

func (p *pipeline) deadLetter(r *topology.Record, fault *topology.Fault) topology.Record {
	return p.loop.config.Names.DeadLetter(p.loop.config.Lane, r, fault, p.loop.config.Role, time.Now())
}

// fetchAll fetches until fetching ends.
func (p *pipeline) fetchAll(batches chan<- fetched) {
	// "The first there is" is no offset yet.
	if p.fetcher.offset < 0 && !p.seekFirst() {
		return
	}
	var wait retry.Backoff
	var failures retry.Warner
	for p.fetching.Err() == nil {
		back := p.tracker.awaitKafka()
		got, err := p.fetcher.Fetch(p.fetching)
		back()
		if err != nil {
			if p.fetching.Err() != nil {
				return
			}
			p.loop.stats.fetchFaults.Add(1)
			failures.Warn(func(n int) {
				p.log.Warn().Err(err).Int("times", n).Msg("fetch failed; trying on")
			})
			if !wait.Wait(p.fetching) || !p.recoverFetch(err) {
				return
			}
			continue
		}
		wait.Reset()
		p.loop.stats.in.Add(int64(len(got.Records)))
		p.tracker.fetched(&got, time.Now())
		if !p.pass(batches, got) {
			return
		}
	}
}

// pass hands a batch on. One without records, of which only the offset counts,
// goes the same way, so that offsets stay in order.
func (p *pipeline) pass(batches chan<- fetched, got Fetched) bool {
	if !got.Moved {
		return true
	}
	batch := Batch{Topic: p.topic, Partition: p.partition, Records: got.Records}
	select {
	case batches <- fetched{Batch: batch, next: got.Next}:
		return true
	case <-p.fetching.Done():
		return false
	}
}

// handleAll runs the handler over every batch, in order.
func (p *pipeline) handleAll(batches <-chan fetched, outputs chan<- handled) {
	only := &worker{pipeline: p}
	for b := range batches {
		if !only.handle(b, func(h handled) bool { return p.forward(outputs, h) }) {
			break
		}
	}
	for range batches { // lost or stopped: not committed, so read again
	}
}

// worker handles batches one after the other.
type worker struct {
	*pipeline
	number    int
	isolating int // how many records to handle one at a time, after a crash
}

// handle runs the handler until the batch is done with. While a server is away
// it tries again; a stopped loop does not wait for servers.
func (s *worker) handle(b fetched, forward func(handled) bool) bool {
	if len(b.Records) == 0 {
		return forward(handled{next: b.next})
	}
	b.Worker = s.number
	var wait retry.Backoff
	for len(b.Records) > 0 {
		result, err := s.try(b.Batch)
		if n := min(result.Handled, len(b.Records)); n > 0 {
			next := b.next
			if n < len(b.Records) {
				next = b.Records[n-1].Offset + 1
			}
			b.Records = b.Records[n:]
			if !forward(handled{out: result.Out, next: next, work: true}) {
				return false
			}
			wait.Reset()
		}
		if s.working.Err() != nil {
			return false
		}
		if err != nil && !s.waitAfter(err, &wait) {
			return false
		}
	}
	return true
}

// waitAfter waits for what a handler's error is about. It reports false when
// the loop stops first.
func (p *pipeline) waitAfter(err error, wait *retry.Backoff) bool {
	var early NotYet
	if errors.As(err, &early) {
		p.tracker.wait(early.Until)
		return retry.Sleep(p.fetching, time.Until(early.Until))
	}
	p.loop.stats.retries.Add(1)
	p.tracker.beat()
	p.waiting.Warn(func(n int) {
		p.log.Warn().Err(err).Int("times", n).Msg("handling waits for a server; trying on")
	})
	return wait.Wait(p.fetching)
}

func (p *pipeline) forward(outputs chan<- handled, h handled) bool {
	select {
	case outputs <- h:
		return true
	case <-p.working.Done():
		return false
	}
}

// recoverFetch does what a fetch error asks for before the next try.
func (p *pipeline) recoverFetch(err error) bool {
	if !errors.Is(err, kafka.OffsetOutOfRange) {
		return true
	}
	from := p.fetcher.offset
	if !p.seekFirst() {
		return false
	}
	skipped := max(p.fetcher.offset-from, 0)
	p.loop.stats.skipped.Add(skipped)
	p.log.Error().Int64("from", from).Int64("to", p.fetcher.offset).Int64("skipped", skipped).
		Msg("the wanted offset is not on the broker any more (retention, or a new topic); going on with the first that is")
	return true
}

// seekFirst moves to the partition's first offset, trying for as long as the
// partition is ours.
func (p *pipeline) seekFirst() bool {
	client := kafka.Client{Addr: p.fetcher.Addr, Transport: p.loop.config.Transport}
	var wait retry.Backoff
	var failures retry.Warner
	for {
		first, err := firstOffset(p.fetching, &client, p.topic, p.partition)
		if err == nil {
			p.fetcher.SeekTo(first)
			return true
		}
		if p.fetching.Err() == nil {
			failures.Warn(func(n int) {
				p.log.Warn().Err(err).Int("times", n).Msg("cannot find the first offset yet; trying on")
			})
		}
		if !wait.Wait(p.fetching) {
			return false
		}
	}
}

func firstOffset(ctx context.Context, client *kafka.Client, topic topology.Topic, partition int) (int64, error) {
	response, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{string(topic): {kafka.FirstOffsetOf(partition)}},
	})
	if err != nil {
		return 0, err
	}
	for _, p := range response.Topics[string(topic)] {
		if p.Partition == partition {
			return p.FirstOffset, p.Error
		}
	}
	return 0, errNoPartition
}
