package consumer

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// pipeline runs one partition: while one batch is being acknowledged the next
// is handled and the one after that fetched. The order of the lines in deliver
// is the delivery guarantee.
type pipeline struct {
	*assignment
	tenure
	topic     topology.Topic
	partition int
	fetcher   Fetcher
	tracker   *tracker
	waiting   retry.Warner // that the handler waits for a server
	log       zerolog.Logger

	batches chan fetched // what was fetched and no handler has taken yet
	mu      sync.Mutex
	full    bool      // nothing is asked for, because there is no room
	held    int       // bytes of what was fetched and is not acknowledged
	large   int       // large batches among that
	closed  bool      // nothing is held any more
	took    time.Time // when the last batch was fetched

	// Of the fetch that is under way, of which there is one at a time.
	back     func()    // says that the wait for Kafka is over
	last     time.Time // of the last record fetched
	pause    retry.Backoff
	failures retry.Warner
	sure     bool     // whether the topic has been the one of id since the last failure
	id       string   // of the topic that the offset counts for; "" while that is not known; changed with assignment.mu
	left     []string // the ids before that
	deleted  bool     // the topic of what is in work, of which nothing more is committed; of mu
}

// tenure is how long a partition is ours. Three contexts bound what may be done:
//
//   - fetching ends when the partition is given up, or lost;
//   - working ends when it is lost, or what was fetched is not finished in time;
//   - publishing ends a little after working, so that a publication under way
//     can be acknowledged and committed rather than repeated.
type tenure struct {
	fetching, working, publishing context.Context
	stopFetching, stopWorking     context.CancelFunc
	stopPublishing                context.CancelFunc
	ended                         chan struct{} // closed when all is stopped
}

func newTenure() (t tenure) {
	t.ended = make(chan struct{})
	t.working, t.stopWorking = context.WithCancel(context.Background())
	t.fetching, t.stopFetching = context.WithCancel(t.working)
	t.publishing, t.stopPublishing = retry.After(t.working, context.Background(), lingerAfterLoss)
	return t
}

// finish ends the tenure when what was fetched is finished, or that time is over.
func (t *tenure) finish(within time.Duration) {
	t.stopFetching()
	late := time.AfterFunc(within, t.stopWorking)
	go func() { <-t.ended; late.Stop() }()
}

// end says that all is stopped.
func (t *tenure) end() {
	t.stopWorking()
	t.stopPublishing()
	close(t.ended)
}

func (t *tenure) over() bool { return isClosed(t.ended) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ahead is how many batches of a partition are fetched ahead of the handler: one
// to go on with, and one so that a handler that is quick misses no request.
const ahead = 2

// fetched is a batch on its way to the handler.
type fetched struct {
	Batch
	next   int64
	bytes  int
	large  bool
	faults map[int64]*topology.Fault // as in contents
}

// handled is a handler's output on its way to Kafka, and the offset to commit
// once it is there.
type handled struct {
	out   []topology.Record
	next  int64
	work  bool // there were records
	bytes int  // that are acknowledged with it
	large bool // so is a large batch
}

func (a *assignment) newPipeline(topic topology.Topic, assigned kafka.PartitionAssignment) *pipeline {
	p := &pipeline{
		assignment: a,
		tenure:     newTenure(),
		topic:      topic,
		partition:  assigned.ID,
		fetcher: Fetcher{
			Topic:     topic,
			Partition: assigned.ID,
			Only:      a.config.Only,
		},
		batches: make(chan fetched, ahead),
		tracker: newTracker(topic, assigned.ID, time.Now()),
		log:     a.Loop.log.With().Str("topic", string(topic)).Int("partition", assigned.ID).Logger(),
	}
	p.fetcher.SeekTo(assigned.Offset)
	return p
}

func (p *pipeline) run() {
	defer p.tenure.end()
	defer p.stats.track(p.tracker)()
	p.config.Reader.budget.partitions.Add(1)
	defer p.giveBack()
	// "The first there is" is no offset yet.
	if p.fetcher.offset < 0 && !p.seek() {
		return
	}
	p.config.Reader.want(p)
	if p.config.Parallel > 1 {
		p.runParallel()
		return
	}
	outputs := make(chan handled, 1)
	var handling sync.WaitGroup
	handling.Go(func() { defer close(outputs); p.handleAll(outputs) })
	for h := range outputs {
		if !p.deliver(h, p.acknowledge) {
			break
		}
	}
	for range outputs { // lost: what is left is the next owner's to do again
	}
	handling.Wait()
}

// next returns the next batch, as soon as there is one. It reports false when
// fetching has ended and what was fetched is taken.
func (p *pipeline) next() (b fetched, ok bool) {
	select {
	case b = <-p.batches:
	default:
		select {
		case b = <-p.batches:
		case <-p.fetching.Done():
			return b, false
		}
	}
	p.release(0, false) // there may be room for another
	return b, true
}

// roomAgain reports whether there is room now and was none. It is called with mu held.
func (p *pipeline) roomAgain() bool {
	again := p.full && !p.closed && p.hasRoom()
	if again {
		p.full = false
	}
	return again
}

func (p *pipeline) hasRoom() bool {
	return len(p.batches) < cap(p.batches) && p.config.Reader.budget.room(p.held, p.config.FetchBytes) > 0
}

// rest is as long as the last batch has been in work.
func (p *pipeline) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(time.Since(p.took), mostRest)
}

// room is how many bytes may be fetched, unpacked.
func (p *pipeline) room() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := p.config.FetchBytes
	return max(p.config.Reader.budget.room(p.held, most), min(leastFetch, most))
}

// take passes on what was fetched, for which there is room. It reports whether
// there is room for more.
func (p *pipeline) take(got *Fetched) bool {
	p.stats.in.Add(int64(len(got.Records)))
	p.tracker.fetched(got, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(got.Records); n > 0 {
		p.last = got.Records[n-1].Time
	}
	kept := got.large && len(got.Records) > 0 && got.Moved && !p.closed
	if got.large && !kept {
		p.config.Reader.letOn(1)
	}
	if p.closed || !got.Moved {
		return !p.closed
	}
	if kept {
		p.large++
	}
	p.held += got.bytes
	p.took = time.Now()
	p.config.Reader.budget.take(got.fetched, got.bytes)
	// A batch without records, of which only the offset counts, goes the same
	// way, so that offsets stay in order.
	p.batches <- fetched{
		Batch: Batch{Topic: p.topic, Partition: p.partition, Records: got.Records},
		next:  got.Next, bytes: got.bytes, large: kept, faults: got.faults,
	}
	p.full = !p.hasRoom()
	return !p.full
}

// release gives back to the process's budget what a batch took of it, and asks for
// more where there is room again.
func (p *pipeline) release(bytes int, large bool) {
	p.mu.Lock()
	if large {
		p.large--
		p.config.Reader.letOn(1)
	}
	p.held -= bytes
	p.config.Reader.budget.give(bytes)
	again := p.roomAgain()
	p.mu.Unlock()
	if again {
		p.config.Reader.want(p)
	}
}

// giveBack gives back what is still held.
func (p *pipeline) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.config.Reader.budget.give(p.held)
	p.config.Reader.letOn(p.large)
	p.config.Reader.budget.partitions.Add(-1)
}

// deliver publishes every output, waits for the acknowledgement, and only then
// lets the input be committed. It reports whether the partition is still ours.
func (p *pipeline) deliver(h handled, acknowledge func(next int64, work bool)) bool {
	if p.working.Err() != nil {
		return false
	}
	if err := p.publish(p.publishing, h.out); err != nil {
		return false
	}
	acknowledge(h.next, h.work)
	p.release(h.bytes, h.large)
	p.stats.out.Add(int64(len(h.out)))
	return true
}

// acknowledge lets everything below next be committed.
func (p *pipeline) acknowledge(next int64, work bool) {
	p.mu.Lock()
	if !p.deleted {
		p.ledger.ack(string(p.topic), p.partition, next, work)
	}
	p.mu.Unlock()
	p.tracker.reached(next, time.Now())
}

// publish writes the outputs. In place of what its topic will never take come dead
// letters, and in place of one of those its place alone.
func (p *pipeline) publish(ctx context.Context, out []topology.Record) error {
	defer p.tracker.awaitKafka()()
	for len(out) > 0 {
		refused, err := p.config.Publisher.Publish(ctx, p.partition, out)
		if err != nil {
			return err
		}
		for i := range out {
			if out[i].Topic == p.deadLetters() && !slices.Contains(refused, i) {
				p.stats.deadLetters.Add(1)
			}
		}
		out = p.instead(out, refused)
	}
	return nil
}

// instead is what to write in place of what was refused.
func (p *pipeline) instead(out []topology.Record, refused []int) (letters []topology.Record) {
	if len(refused) == 0 {
		return nil
	}
	lost, target := int64(0), out[refused[0]].Topic
	first, last := sourceOf(&out[refused[0]]), sourceOf(&out[refused[len(refused)-1]])
	for _, at := range refused {
		r := &out[at]
		switch place := r.Place(); {
		case r.Topic != p.deadLetters():
			letters = append(letters, p.entryOn(r, topology.ReasonTopicRejected)...)
			fault := &topology.Fault{Reason: topology.ReasonTopicRejected, Detail: "topic " + string(r.Topic) +
				" does not take this record: see its max.message.bytes, or run `meddela topics apply`"}
			if topic, partition, offset, ok := sourceOf(r).Split(); ok {
				r.Topic, r.Partition, r.Offset = topic, partition, offset
			}
			letters = append(letters, p.deadLetter(r, fault))
		case r.Key != nil || r.Value != nil || len(place.Headers) < len(r.Headers):
			letters = append(letters, place)
		default:
			lost++
		}
	}
	p.stats.skipped.Add(lost)
	p.log.Error().Str("target", string(target)).Int("records", len(refused)).Str("first", string(first)).
		Str("last", string(last)).Int64("lost", lost).
		Msg("a topic does not take what records came to, for its max.message.bytes or our rights (`meddela check --user`): that becomes dead letters, or by their places what was one; what is lost is only on the topic that it was read from")
	return letters
}

// sourceOf is the place of the record that an output came of, as far as it says that.
func sourceOf(r *topology.Record) topology.Source {
	if topic, ok := r.Header(topology.HeaderOriginalTopic); ok {
		partition, _ := r.Header(topology.HeaderOriginalPartition)
		offset, _ := r.Header(topology.HeaderOriginalOffset)
		return topology.Source(bytes.Join([][]byte{topic, partition, offset}, []byte("/")))
	}
	if job, err := topology.DecodeJob(r.Value); err == nil {
		return job.Source
	}
	entry, _ := topology.DecodeEntry(r.Value)
	return entry.Source
}

func (p *pipeline) deadLetters() topology.Topic {
	return p.config.Names.DeadLetters(p.config.Lane)
}

func (p *pipeline) deadLetter(r *topology.Record, fault *topology.Fault) topology.Record {
	return p.config.Names.DeadLetter(p.config.Lane, r, fault, p.config.Role, time.Now())
}

// handleAll runs the handler over every batch, in order.
func (p *pipeline) handleAll(outputs chan<- handled) {
	only := &worker{pipeline: p}
	for {
		b, ok := p.next()
		if !ok || !only.handle(b, func(h handled) bool { return p.forward(outputs, h) }) {
			return // what is left is not committed, so read again
		}
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
		return forward(handled{next: b.next, bytes: b.bytes})
	}
	b.Worker = s.number
	var wait retry.Backoff
	for len(b.Records) > 0 {
		result, err := s.part(b)
		if n := min(result.Handled, len(b.Records)); n > 0 {
			next := b.next
			if n < len(b.Records) {
				next = b.Records[n-1].Offset + 1
			}
			b.Records = b.Records[n:]
			done := handled{out: result.Out, next: next, work: true}
			if len(b.Records) == 0 {
				done.bytes, done.large = b.bytes, b.large
			}
			if !forward(done) {
				return false
			}
			wait.Reset()
		}
		if s.working.Err() != nil {
			return false
		}
		if b.large && errors.As(err, new(NotYet)) { // that may be for hours
			b.large = false
			s.release(0, true)
		}
		if err != nil && !s.waitAfter(err, &wait) {
			return false
		}
	}
	return true
}

const (
	// mostAtOnce and bytesAtOnce bound what a handler is given, and so what it puts out
	// at once: many times what a fetch brings of usual records.
	mostAtOnce  = 4000
	bytesAtOnce = 2 << 20
)

// part handles the first records of a batch, or the one that cannot be.
func (s *worker) part(b fetched) (Result, error) {
	first := &b.Records[0]
	if fault := b.faults[first.Offset]; fault != nil {
		s.log.Error().Int64("offset", first.Offset).Err(fault).Msg("what cannot be read is now one dead letter")
		return Result{Out: s.ending(first, fault, topology.ReasonInvalid), Handled: 1}, nil
	}
	n := 1
	for bytes := len(first.Value); n < min(len(b.Records), mostAtOnce); n++ {
		r := &b.Records[n]
		if bytes += len(r.Value); bytes > bytesAtOnce || b.faults[r.Offset] != nil {
			break
		}
	}
	b.Records = b.Records[:n]
	return s.try(b.Batch)
}

// ending is a dead letter of a record, and what the log says of its event.
func (p *pipeline) ending(r *topology.Record, fault *topology.Fault, reason topology.Reason) []topology.Record {
	return append(p.entryOn(r, reason), p.deadLetter(r, fault))
}

// entryOn ends the event that a record is of, if that can be told: of a job, and in
// role match of an event.
func (p *pipeline) entryOn(r *topology.Record, reason topology.Reason) (log []topology.Record) {
	defer func() { _ = recover() }() // it may be what no decoder bears
	if p.config.Role == topology.RoleStatus || p.config.Role == topology.RoleNotify || r.Value == nil {
		return nil // others have its event
	}
	lane, now := p.config.Lane, time.Now()
	job, err := topology.DecodeJob(r.Value)
	entry := topology.EntryOf(&job, topology.DeliveryError, reason, now)
	if p.config.Role == topology.RoleMatch && r.Topic == p.topic {
		event, _ := p.config.Names.DecodeEvent(*r, lane)
		receipt := topology.ReceiptOf(r)
		entry = topology.Entry{
			EventID: event.ID, Lane: lane, Redrives: receipt.Redrives, Status: topology.NotCovered, Reason: reason,
			Type: event.Type, Channel: event.Channel, Source: receipt.Source, ReceivedAt: receipt.At, At: now,
		}
	} else if err != nil {
		return nil
	}
	return []topology.Record{{
		Topic: p.config.Names.DeliveryLog(lane), Key: []byte(entry.EventID), Value: entry.Append(nil),
		Headers: topology.CarriedByEntries(r.Headers),
	}}
}

// waitAfter waits for what a handler's error is about. It reports false when
// the loop stops first.
func (p *pipeline) waitAfter(err error, wait *retry.Backoff) bool {
	var early NotYet
	if errors.As(err, &early) {
		p.tracker.wait(early.Until)
		return retry.Sleep(p.fetching, time.Until(early.Until))
	}
	p.stats.retries.Add(1)
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

// sureOfTopic has the offset count for the topic that is there now. Its error is that this is not known, or that
// the partition is given up.
func (p *pipeline) sureOfTopic() error {
	id, err := p.config.Reader.leaders.ID(p.fetching, p.topic)
	switch {
	case err != nil || id == p.id || id == "": // as brokers say that know of none
	case slices.Contains(p.left, id):
		err = errLeft
	default:
		err = p.takeTopic(id)
	}
	p.sure = err == nil
	return err
}

// place is where the fetches read.
func (p *pipeline) place() place { return place{p.topic, p.id, p.partition} }

// errLeft is of brokers that differ for a moment after a topic was deleted and made again.
var errLeft = errors.New("the broker still knows the topic as it was before it was deleted and made again")

// takeTopic notes the topic's id. Where there was another one the topic has been deleted and made again: what was
// fetched of the old one is finished, and not committed; then the new one is read from its first record on.
func (p *pipeline) takeTopic(id string) error {
	anew := p.id != ""
	p.assignment.mu.Lock() // no commit is under way
	p.mu.Lock()
	if p.deleted = anew; anew {
		p.ledger.drop([]*pipeline{p})
	} else {
		p.id = id
	}
	p.mu.Unlock()
	p.assignment.mu.Unlock()
	if !anew {
		return nil
	}
	for p.busy() {
		if !retry.Sleep(p.fetching, drainPause) {
			return p.fetching.Err()
		}
	}
	from := p.fetcher.offset
	p.mu.Lock()
	p.last = time.Time{}
	p.mu.Unlock()
	if !p.seek() {
		return p.fetching.Err()
	}
	p.assignment.mu.Lock()
	p.mu.Lock()
	p.left, p.id, p.deleted = append(p.left, p.id), id, false
	p.mu.Unlock()
	p.assignment.mu.Unlock()
	to := p.fetcher.offset
	p.log.Warn().Int64("was_at", from).Int64("begins_at", to).
		Msg("the topic was deleted and made again; reading the new one from its first record on")
	p.take(&Fetched{Next: to, Moved: true, HighWatermark: to}) // to be committed
	return nil
}

// busy reports whether something is fetched and not done with.
func (p *pipeline) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held > 0 || p.tracker.busy()
}

// drainPause is between two looks whether what was fetched of a deleted topic is finished.
const drainPause = 20 * time.Millisecond

// recoverFetch does what a fetch error asks for before the next try, and reports
// whether there is to be one.
func (p *pipeline) recoverFetch(err error) bool {
	if !errors.Is(err, kafka.OffsetOutOfRange) {
		return true
	}
	from := p.fetcher.offset
	if p.sureOfTopic() != nil || p.fetcher.offset != from {
		return true
	}
	if !p.seek() {
		return false
	}
	to := p.fetcher.offset
	skipped := max(to-from, 0)
	p.stats.skipped.Add(skipped)
	p.log.Error().Int64("from", from).Int64("to", to).Int64("skipped", skipped).
		Msg("the wanted offset is not on the broker (retention, or a lost leader); going on with one that is")
	// It is committed in its turn: else the next owner would step over the same.
	return p.take(&Fetched{Next: to, Moved: true, HighWatermark: to})
}

// clockSkew is by how much the clocks of who writes records may differ.
const clockSkew = time.Minute

// seek moves to the first offset that there is where retention has deleted what was
// wanted; where a lost leader had more, to the first record that may be younger than the
// last one fetched, as others may have filled the gap meanwhile. It tries for as long as
// the partition is ours.
func (p *pipeline) seek() bool {
	defer p.tracker.awaitKafka()()
	client := kafka.Client{Addr: kafka.TCP(p.config.Brokers...), Transport: p.config.Transport}
	asked := []kafka.OffsetRequest{kafka.FirstOffsetOf(p.partition), kafka.LastOffsetOf(p.partition)}
	if !p.last.IsZero() {
		asked = append(asked, kafka.TimeOffsetOf(p.partition, p.last.Add(-clockSkew)))
	}
	return retry.Until(p.fetching, func() error {
		ctx, cancel := context.WithTimeout(p.fetching, requestTimeout)
		defer cancel()
		response, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{string(p.topic): asked},
		})
		if err != nil {
			return err
		}
		for _, is := range response.Topics[string(p.topic)] {
			if is.Partition == p.partition && is.Error == nil {
				p.fetcher.SeekTo(p.whereOf(&is))
				return nil
			} else if is.Partition == p.partition {
				return is.Error
			}
		}
		return errNoPartition
	}, func(err error, n int) {
		p.log.Warn().Err(err).Int("times", n).Msg("cannot find an offset to go on with yet; trying on")
	})
}

// whereOf is the offset to go on with of those that the partition has.
func (p *pipeline) whereOf(is *kafka.PartitionOffsets) int64 {
	if p.last.IsZero() || p.fetcher.offset < is.FirstOffset {
		return is.FirstOffset
	}
	for offset := range is.Offsets { // of the one time that was asked for; none if all is older
		if offset >= 0 {
			return offset
		}
	}
	return is.LastOffset
}
