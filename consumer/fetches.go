package consumer

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology/gather"
	"github.com/meddela/meddela/topology/wire"
)

// fetches reads all partitions of a generation. Those that one broker leads, and
// that can take more, share a request; the next is sent when the last one has been
// taken up. A partition that is behind, or that failed, is left out of it, and
// asks for itself when it can take more.
type fetches struct {
	*generation
	leaders wire.Leaders

	mu      sync.Mutex
	brokers map[int]*broker // by their ids
}

// broker is what is asked of one.
type broker struct {
	gather.Gather[*pipeline]
	busy atomic.Bool // the last answer brought much, so the next may wait a little for more
	// lazy is set while answers bring only what is passed over: then the next one
	// waits for more of it, or for a while, so that a reader of few records among
	// many costs few requests.
	lazy atomic.Bool
}

const (
	// lazyTime is how long a record may wait that comes after many that are
	// passed over.
	lazyTime = 100 * time.Millisecond
	// busyBytes is how much an answer must bring for the next one to wait.
	busyBytes = 16 << 10
	// gatherBytes and gatherTime end that wait, whichever comes first.
	gatherBytes = 256 << 10
	gatherTime  = 4 * time.Millisecond
	// fetchPace is the least time between two requests to a broker while one is
	// under way.
	fetchPace = 2 * time.Millisecond
	// mostFetched bounds one answer of many partitions.
	mostFetched = 2 << 20
)

func newFetches(g *generation) *fetches {
	return &fetches{
		generation: g,
		leaders:    wire.Leaders{Addr: kafka.TCP(g.loop.config.Brokers...), Transport: g.loop.config.Transport},
		brokers:    make(map[int]*broker),
	}
}

// want asks for more for pipelines that can take it.
func (f *fetches) want(pipelines ...*pipeline) {
	led := make(map[int][]*pipeline)
	for _, p := range pipelines {
		leader, err := f.leaders.Leader(f.fetching, p.topic, p.partition)
		if err != nil {
			f.failed(p, err)
			continue
		}
		p.back = p.tracker.awaitKafka()
		led[leader] = append(led[leader], p)
	}
	for leader, group := range led {
		f.broker(leader).Add(group...)
	}
}

func (f *fetches) broker(id int) *broker {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.brokers[id]
	if b == nil {
		b = new(broker)
		b.Most, b.Pace = math.MaxInt, fetchPace
		b.Do = func(group []*pipeline) { f.fetch(b, group) }
		f.brokers[id] = b
	}
	return b
}

// fetch sends one request and passes on what it brings.
func (f *fetches) fetch(b *broker, group []*pipeline) {
	request, most := f.request(b, group)
	topics, failure := request.Send(f.fetching, f.loop.config.Transport, f.leaders.Addr)
	brought, kept, moved := 0, 0, false
	var again, fresh []*pipeline
	for _, p := range group {
		p.back()
		var got Fetched
		answer, err := answerFor(p, topics), failure
		switch {
		case err != nil:
		case answer == nil:
			err = errNoPartition
		default:
			brought += len(answer.RecordSet.Bytes)
			got, err = p.fetcher.read(answer, most)
			var bad *unreadableError
			if errors.As(err, &bad) {
				got, err = p.fetcher.passOver(bad, answer), nil
			}
		}
		if err != nil {
			f.leaders.Expire()
			f.failed(p, err)
			continue
		}
		p.pause.Reset()
		kept += len(got.Records)
		moved = moved || got.Moved
		switch hasRoom := p.take(&got); {
		case hasRoom && got.Moved:
			fresh = append(fresh, p)
		case hasRoom:
			again = append(again, p)
		}
	}
	b.busy.Store(brought >= busyBytes)
	b.lazy.Store(moved && kept == 0 && f.loop.config.Only.Key != "")
	// Those that brought nothing come first in the next answer, which may be full
	// before it has come to the last.
	f.want(append(again, fresh...)...)
}

func answerFor(p *pipeline, topics []wire.FetchedTopic) *wire.FetchedPartition {
	for i := range topics {
		for j := range topics[i].Partitions {
			if of := &topics[i].Partitions[j]; int(of.Partition) == p.partition && topics[i].Topic == string(p.topic) {
				return of
			}
		}
	}
	return nil
}

// request asks for a share of the budget for each partition, most bytes.
func (f *fetches) request(b *broker, group []*pipeline) (request *wire.Fetch, most int) {
	config := &f.loop.config
	most, share := config.Budget.share(config.FetchBytes)
	least, wait := 1, config.FetchWait
	switch {
	case b.lazy.Load():
		least, wait = gatherBytes, min(lazyTime, wait)
	case b.busy.Load():
		least, wait = gatherBytes, min(gatherTime, wait)
	}
	request = wire.NewFetch(wait, min(least, share*len(group)), mostFetched)
	slices.SortStableFunc(group, func(a, b *pipeline) int { return strings.Compare(string(a.topic), string(b.topic)) })
	for _, p := range group {
		request.Add(p.topic, p.partition, p.fetcher.offset, share)
	}
	return request, most
}

// failed asks again for a pipeline after a while, and after what the error asks for.
func (f *fetches) failed(p *pipeline, err error) {
	if f.fetching.Err() != nil {
		return
	}
	f.loop.stats.fetchFaults.Add(1)
	p.failures.Warn(func(n int) {
		p.log.Warn().Err(err).Int("times", n).Msg("fetch failed; trying on")
	})
	go func() {
		if p.pause.Wait(f.fetching) && p.recoverFetch(err) {
			f.want(p)
		}
	}()
}
