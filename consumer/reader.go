package consumer

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/gather"
	"github.com/meddela/meddela/topology/wire"
)

// Reader fetches for all loops that share it. What one broker leads, and what can
// take more, shares a request; the next is sent when the last one has been taken
// up. A partition is read once for all pipelines that are at the same place of it. A
// pipeline that is behind, or that failed, is left out of it, and asks for itself
// when it can take more.
type Reader struct {
	leaders wire.Leaders
	budget  budget
	large   large

	mu       sync.Mutex
	brokers  map[int]*broker // by their ids
	underWay map[place]*read // of each partition the furthest
}

// NewReader makes a Reader. What is fetched and not yet acknowledged is together no
// more than so many bytes, unpacked, but for a batch of each partition and one that is large.
func NewReader(addr net.Addr, transport kafka.RoundTripper, inFlight int64) *Reader {
	r := &Reader{
		leaders:  wire.Leaders{Addr: addr, Transport: transport},
		brokers:  make(map[int]*broker),
		underWay: make(map[place]*read),
	}
	r.budget.most = inFlight
	r.budget.packing.Store(64)
	return r
}

// InFlight is how many bytes are fetched and not yet acknowledged.
func (r *Reader) InFlight() int64 { return r.budget.used.Load() }

// Yield has the Reader leave servers and processors to others until a time: it keeps
// little in flight, and each partition rests for as long as its last batch was in
// work. So it runs at about half of its speed, and nobody waits behind much of it.
func (r *Reader) Yield(until time.Time) { r.budget.yields.Store(until.UnixNano()) }

// broker is what is asked of one.
type broker struct {
	id int
	gather.Gather[*pipeline]
	busy atomic.Bool // the last answer brought much, so the next may wait a little for more
	// passed is how many records have been passed over since the last that was not:
	// after many, the next answer waits for more of them, or for a while, so that a
	// reader of few records among many costs few requests.
	passed atomic.Int64
}

type place struct {
	topic     topology.Topic
	id        string // of the topic
	partition int
}

// read is what is asked of a partition, from an offset on, for some.
type read struct {
	place
	offset    int64
	share     int // bytes, as they are fetched
	pipelines []*pipeline
}

const (
	// lazyTime is how long a record may wait that comes after manyPassed that are
	// passed over.
	lazyTime   = 100 * time.Millisecond
	manyPassed = 100
	// busyRecords is how many an answer must bring for the next one to wait.
	busyRecords = 8
	// gatherBytes and gatherTime end that wait, whichever comes first.
	gatherBytes = 256 << 10
	gatherTime  = 4 * time.Millisecond
	// fetchPace is the least time between two requests to a broker while one is
	// under way.
	fetchPace = 2 * time.Millisecond
	// mostFetched bounds one answer of many partitions.
	mostFetched = 2 << 20
	// closeBy is how many records a pipeline may be ahead of a read that it joins:
	// its answer is likely to bring something new.
	closeBy = 100
	// mostRest is the longest rest between two batches of a partition while a
	// Reader yields.
	mostRest = 200 * time.Millisecond
)

// want asks for more for pipelines that can take it, after their rest where the
// Reader yields.
func (r *Reader) want(pipelines ...*pipeline) {
	if !r.budget.yielding() {
		r.ask(pipelines...)
		return
	}
	for _, p := range pipelines {
		time.AfterFunc(p.rest(), func() { r.ask(p) })
	}
}

func (r *Reader) ask(pipelines ...*pipeline) {
	led := make(map[int][]*pipeline)
	for _, p := range pipelines {
		if p.fetching.Err() != nil {
			continue
		}
		if !p.sure {
			go r.makeSure(p)
			continue
		}
		leader, err := r.leaders.Leader(p.fetching, p.topic, p.partition)
		if err != nil {
			r.failed(p, err)
			continue
		}
		p.back = p.tracker.awaitKafka()
		if !r.join(p) {
			led[leader] = append(led[leader], p)
		}
	}
	for leader, group := range led {
		r.broker(leader).Add(group...)
	}
}

// makeSure asks for a pipeline whose offset counts for the topic that is there now.
func (r *Reader) makeSure(p *pipeline) {
	if err := p.sureOfTopic(); err != nil {
		r.failed(p, err)
		return
	}
	r.ask(p)
}

// join has a read that is under way bring what it brings for a pipeline too.
func (r *Reader) join(p *pipeline) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	under, offset := r.underWay[p.place()], p.fetcher.offset
	if under == nil || offset < under.offset || offset > under.offset+closeBy {
		return false
	}
	under.pipelines = append(under.pipelines, p)
	return true
}

func (r *Reader) broker(id int) *broker {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.brokers[id]
	if b == nil {
		b = new(broker)
		b.Most, b.Pace = math.MaxInt, fetchPace
		b.id, b.Do = id, func(group []*pipeline) { r.fetch(b, group) }
		r.brokers[id] = b
	}
	return b
}

// fetch sends one request and passes on what it brings.
func (r *Reader) fetch(b *broker, group []*pipeline) {
	group = slices.DeleteFunc(group, func(p *pipeline) bool {
		over := p.fetching.Err() != nil
		if over {
			p.back()
		}
		return over
	})
	if len(group) == 0 {
		return
	}
	reads, left := readsOf(group)
	b.Add(left...)
	request, ctx, stop := r.request(b, reads)
	defer stop()
	r.open(reads)
	topics, rest, failure := request.Send(ctx, r.leaders.Transport, r.leaders.Addr)
	b.Rest(rest)
	answers, kept, moved := byPlace(topics), 0, int64(0)
	var again, fresh []*pipeline
	for _, one := range reads {
		pipelines := r.end(one)
		brought, err := one.contents(answers[one.place], failure, most(pipelines), largeBatch)
		if errors.Is(err, errLarge) && r.large.begin(len(pipelines)) {
			if brought, err = one.contents(answers[one.place], failure, most(pipelines), mostUnpacked); err != nil ||
				!brought.large {
				r.letOn(len(pipelines))
			}
		}
		for _, p := range pipelines {
			if errors.Is(err, errLarge) && r.large.wait(p) {
				continue
			}
			p.back()
			brought, err := brought, err
			if d := p.fetcher.givesUp(err); d != nil && p.fetcher.offset == one.offset {
				brought, err = d.contents(), nil
			}
			switch {
			case err == nil:
			case rest > 0 && errors.Is(err, errNoPartition), errors.Is(err, errLarge):
				again = append(again, p)
				continue
			case p.fetcher.offset != one.offset || ctx.Err() != nil && p.fetching.Err() == nil: // others had asked
				again = append(again, p)
				continue
			default:
				r.leaders.Expire()
				r.failed(p, err)
				continue
			}
			before := p.fetcher.offset
			got := p.fetcher.keep(brought)
			p.pause.Reset()
			kept += len(got.Records)
			moved += got.Next - before
			switch hasRoom := p.take(&got); {
			case hasRoom && got.Moved:
				fresh = append(fresh, p)
			case hasRoom:
				again = append(again, p)
			}
		}
		brought.free()
	}
	b.busy.Store(kept >= busyRecords)
	if b.passed.Add(moved); kept > 0 || moved == 0 {
		b.passed.Store(0)
	}
	// Those that brought nothing come first in the next answer, which may be full
	// before it has come to the last.
	r.want(append(again, fresh...)...)
}

// large is the one large batch that a Reader has in hand at a time, so that they are together no more than that,
// whatever many partitions have. Others of its size are left where they are, and nothing else waits for it.
type large struct {
	mu      sync.Mutex
	shares  int // of the pipelines that have it in work
	waiting []*pipeline
}

// begin takes one in hand for some pipelines, unless there is another.
func (l *large) begin(shares int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shares > 0 {
		return false
	}
	l.shares = shares
	return true
}

// wait has a pipeline ask again when there is none in hand, and reports whether there is one.
func (l *large) wait(p *pipeline) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shares > 0 {
		l.waiting = append(l.waiting, p)
	}
	return l.shares > 0
}

// letOn gives shares of the large batch back.
func (r *Reader) letOn(shares int) {
	r.large.mu.Lock()
	defer r.large.mu.Unlock()
	if r.large.shares -= shares; r.large.shares > 0 || shares == 0 {
		return
	}
	waiting := r.large.waiting
	r.large.waiting = nil
	go func() {
		for _, p := range waiting {
			p.back()
		}
		r.want(waiting...)
	}()
}

// readsOf makes a read of each partition of a group, for those that are furthest, in
// the group's order; what is left is for another request. A topic of which no id is
// known would take the ids off all others of a request.
func readsOf(group []*pipeline) (reads []*read, left []*pipeline) {
	found := make(map[place]*read, len(group))
	for _, p := range group {
		at, offset := place{topic: p.topic, partition: p.partition}, p.fetcher.offset
		switch one := found[at]; {
		case (p.id == "") != (group[0].id == ""):
			left = append(left, p)
		case one == nil:
			found[at] = &read{place: p.place(), offset: offset, pipelines: []*pipeline{p}}
			reads = append(reads, found[at])
		case p.id != one.id: // of which one is not known yet: a request by name has a partition once
			left = append(left, p)
		case offset == one.offset:
			one.pipelines = append(one.pipelines, p)
		case offset < one.offset:
			left = append(left, p)
		default:
			left = append(left, one.pipelines...)
			one.offset, one.pipelines = offset, []*pipeline{p}
		}
	}
	return reads, left
}

// most is how many bytes may be fetched now for all of some, unpacked.
func most(pipelines []*pipeline) (bytes int) {
	for _, p := range pipelines {
		bytes = max(bytes, p.room())
	}
	return bytes
}

// request asks for what each partition has room for. The context ends when
// nobody who asks may fetch any more.
func (r *Reader) request(b *broker, reads []*read) (*wire.Fetch, context.Context, context.CancelFunc) {
	var fetching []context.Context
	shares, wait, lazy := 0, time.Duration(math.MaxInt64), b.passed.Load() >= manyPassed
	for _, one := range reads {
		for _, p := range one.pipelines {
			wait, lazy = min(wait, p.config.FetchWait), lazy && p.fetcher.Only.Key != ""
			if !slices.Contains(fetching, p.fetching) {
				fetching = append(fetching, p.fetching)
			}
		}
		one.share = r.budget.packed(most(one.pipelines))
		shares += one.share
	}
	least := 1
	switch {
	case lazy:
		least, wait = min(mostFetched/2, shares), min(lazyTime, wait)
	case b.busy.Load():
		least, wait = min(gatherBytes, shares), min(gatherTime, wait)
	}
	request := wire.NewFetch(b.id, wait, least, mostFetched)
	for _, one := range reads {
		request.Add(one.topic, one.id, one.partition, one.offset, one.share)
	}
	ctx, stop := gather.Together(fetching)
	return request, ctx, stop
}

// open lets others join reads.
func (r *Reader) open(reads []*read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range reads {
		if under := r.underWay[one.place]; under == nil || under.offset < one.offset {
			r.underWay[one.place] = one
		}
	}
}

// end returns all for whom a partition was read: nobody can join any more.
func (r *Reader) end(one *read) []*pipeline {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay[one.place] == one {
		delete(r.underWay, one.place)
	}
	return one.pipelines
}

var errNoPartition = errors.New("the broker's answer has no partition")

func byPlace(topics []wire.FetchedTopic) map[place]*wire.FetchedPartition {
	answers := make(map[place]*wire.FetchedPartition)
	for _, t := range topics {
		for i := range t.Partitions {
			of := &t.Partitions[i]
			answers[place{topology.Topic(t.Topic), t.ID, int(of.Partition)}] = of
		}
	}
	return answers
}

// contents are what the answer has of the read's partition, up to most bytes
// unpacked.
func (one *read) contents(answer *wire.FetchedPartition, failure error, most, limit int) (*contents, error) {
	switch {
	case failure != nil:
		return nil, failure
	case answer == nil:
		return nil, errNoPartition
	}
	return readContents(answer, one.place, one.offset, most, limit)
}

// failed asks again for a pipeline after a while, and after what the error asks for.
func (r *Reader) failed(p *pipeline, err error) {
	if p.fetching.Err() != nil {
		return
	}
	p.sure = false
	p.stats.fetchFaults.Add(1)
	p.tracker.beat()
	p.failures.Warn(func(n int) {
		p.log.Warn().Err(err).Int("times", n).Msg("fetch failed; trying on")
	})
	go func() {
		if p.pause.Wait(p.fetching) && p.recoverFetch(err) {
			r.want(p)
		}
	}()
}
