package consumer

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// cluster is one broker that answers what it is told to.
type cluster struct {
	mu      sync.Mutex
	leads   bool // its one partition, t/0
	fetch   func(*wire.FetchRequest) error
	offsets []int64 // that were asked for
}

func (c *cluster) RoundTrip(ctx context.Context, _ net.Addr, r kafka.Request) (kafka.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r := r.(type) {
	case *metadata.Request:
		t := metadata.ResponseTopic{Name: "t", Partitions: []metadata.ResponsePartition{{LeaderID: -1}}}
		if c.leads {
			t.Partitions[0].LeaderID = 1
		}
		return &metadata.Response{
			Brokers: []metadata.ResponseBroker{{NodeID: 1, Host: "localhost", Port: 1}}, Topics: []metadata.ResponseTopic{t},
		}, nil
	case *listoffsets.Request:
		if !c.leads {
			return nil, kafka.LeaderNotAvailable
		}
		return &listoffsets.Response{Topics: []listoffsets.ResponseTopic{{
			Topic: "t", Partitions: []listoffsets.ResponsePartition{{Timestamp: kafka.FirstOffset, Offset: 50}},
		}}}, nil
	case *wire.TopicRequest:
		return r, nil
	case *wire.FetchRequest:
		c.offsets = append(c.offsets, r.Topics[0].Partitions[0].FetchOffset)
		err := c.fetch(r)
		return nil, err
	}
	return nil, errors.New("nobody asks for that")
}

// pipelineOn is that of a loop of its own that reads t/0 from an offset on.
func pipelineOn(ctx context.Context, r *Reader, offset int64, only topology.Header) *pipeline {
	l := New(Config{Reader: r, Only: only, Brokers: []string{"localhost:1"}, Transport: r.leaders.Transport})
	a := &assignment{member: newMember(l), ledger: newLedger()}
	p := a.newPipeline("t", kafka.PartitionAssignment{ID: 0, Offset: offset})
	p.fetching, p.working, p.publishing = ctx, ctx, ctx
	return p
}

// TestAnotherReadsOffset: who is ahead of a read whose offset is not there any more is not taken back.
func TestAnotherReadsOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		c := &cluster{leads: true}
		r := NewReader(kafka.TCP("localhost:1"), c, DefaultInFlight)
		behind, ahead := pipelineOn(ctx, r, 10, topology.Header{}), pipelineOn(ctx, r, 60, topology.Header{})
		c.fetch = func(request *wire.FetchRequest) error {
			if len(c.offsets) > 1 {
				return errors.New("that is all")
			}
			ahead.back = func() {}
			if !r.join(ahead) {
				t.Error("it does not join")
			}
			return kafka.OffsetOutOfRange
		}
		r.want(behind)
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		if ahead.fetcher.offset != 60 || behind.fetcher.offset != 50 {
			t.Errorf("they are at %d and %d, want 60 and 50", ahead.fetcher.offset, behind.fetcher.offset)
		}
		if n := ahead.stats.skipped.Load(); n != 0 {
			t.Errorf("%d skipped", n)
		}
	})
}

// TestYielding: a partition whose batch was in work for 30 ms rests as long before it asks again, and asks at once
// where nobody is yielded to any more.
func TestYielding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for yielding, want := range map[time.Duration]time.Duration{
			time.Hour: 30 * time.Millisecond, 10 * time.Millisecond: 0, 0: 0,
		} {
			ctx, stop := context.WithCancel(t.Context())
			asked := make(chan time.Time, 1)
			r := NewReader(kafka.TCP("localhost:1"), &cluster{leads: true, fetch: func(*wire.FetchRequest) error {
				stop()
				asked <- time.Now()
				return errors.New("that is all")
			}}, DefaultInFlight)
			r.Yield(time.Now().Add(yielding))
			p := pipelineOn(ctx, r, 10, topology.Header{})
			p.take(&Fetched{Moved: true, Next: 11, fetched: 10, bytes: 10})
			time.Sleep(30 * time.Millisecond)
			began := time.Now()
			r.want(p)
			if rested := (<-asked).Sub(began); rested != want {
				t.Errorf("with %v to yield, it asks after %v, want %v", yielding, rested, want)
			}
			synctest.Wait()
		}
	})
}

// TestWaitingForALeader, where it was left off or from the first offset on, is no standing still.
func TestWaitingForALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := NewReader(kafka.TCP("localhost:1"), new(cluster), DefaultInFlight)
		for _, offset := range []int64{10, kafka.FirstOffset} {
			p := pipelineOn(ctx, r, offset, topology.Header{})
			go p.run()
			time.Sleep(time.Hour)
			if still := p.tracker.stalled(time.Now()); still > time.Minute {
				t.Errorf("from offset %d it stands still for %v", offset, still)
			}
		}
		stop()
		synctest.Wait()
	})
}

// TestLazy: a request waits for more of what is passed over only where all who ask pass some over, and after many.
func TestLazy(t *testing.T) {
	r := NewReader(nil, nil, DefaultInFlight)
	choosy := pipelineOn(t.Context(), r, 10, topology.Header{Key: "for"})
	other := pipelineOn(t.Context(), r, 10, topology.Header{})
	b := new(broker)
	for _, test := range []struct {
		asking []*pipeline
		passed int64
		want   int32
	}{
		{[]*pipeline{choosy}, manyPassed, 100},
		{[]*pipeline{choosy}, manyPassed - 1, 1000},
		{[]*pipeline{choosy, other}, manyPassed, 1000},
	} {
		b.passed.Store(test.passed)
		reads, _ := readsOf(test.asking)
		c := new(cluster)
		var waited int32
		c.fetch = func(request *wire.FetchRequest) error { waited = request.MaxWaitTime; return errors.New("that is all") }
		request, ctx, stop := r.request(b, reads)
		_, _, _ = request.Send(ctx, c, nil)
		stop()
		if waited != test.want {
			t.Errorf("%d ask, %d passed over: it waits for %d ms, want %d", len(test.asking), test.passed, waited, test.want)
		}
	}
}

// TestSmallFetches: a fetch is no larger than it may be.
func TestSmallFetches(t *testing.T) {
	l := New(Config{FetchBytes: 1 << 10})
	p := (&assignment{member: newMember(l)}).newPipeline("t", kafka.PartitionAssignment{})
	if room := p.room(); room != 1<<10 {
		t.Errorf("%d bytes, want 1024", room)
	}
}

func pipelineAt(partition int, offset int64) *pipeline {
	p := &pipeline{topic: "t", partition: partition}
	p.fetcher.SeekTo(offset)
	return p
}

// TestJoin: only who is at a read's place, or a little ahead of it, is served by it, until it has ended.
func TestJoin(t *testing.T) {
	r := NewReader(nil, nil, 1)
	behind := []*read{{place: place{topic: "t", partition: 3}, offset: 10}}
	front := []*read{{place: place{topic: "t", partition: 3}, offset: 1000}}
	r.open(front)
	r.open(behind) // which takes no place from the one further on
	for offset, want := range map[int64]bool{
		10: false, 999: false, 1000: true, 1000 + closeBy: true, 1001 + closeBy: false,
	} {
		if got := r.join(pipelineAt(3, offset)); got != want {
			t.Errorf("at offset %d it joins a read of 1000: %v, want %v", offset, got, want)
		}
	}
	if r.join(pipelineAt(2, 1000)) {
		t.Error("it joins a read of another partition")
	}
	if n := len(r.end(front[0])); n != 2 {
		t.Errorf("%d have joined, want 2", n)
	}
	if r.join(pipelineAt(3, 1000)) {
		t.Error("it joins a read that has ended")
	}
}

// TestReadsOf: a request asks for a partition once, for those that are furthest; the rest is left.
func TestReadsOf(t *testing.T) {
	reads, left := readsOf([]*pipeline{
		pipelineAt(1, 5), pipelineAt(0, 7), pipelineAt(1, 9), pipelineAt(1, 9), pipelineAt(1, 3),
	})
	got := make(map[int][]int64)
	for _, one := range reads {
		for _, p := range one.pipelines {
			got[one.partition] = append(got[one.partition], p.fetcher.offset)
		}
	}
	if len(reads) != 2 || !slices.Equal(got[0], []int64{7}) || !slices.Equal(got[1], []int64{9, 9}) {
		t.Errorf("reads %v", got)
	}
	if len(left) != 2 || left[0].fetcher.offset != 5 || left[1].fetcher.offset != 3 {
		t.Errorf("%d are left", len(left))
	}
	if reads[0].topic != topology.Topic("t") {
		t.Errorf("topic %q", reads[0].topic)
	}
	// A request by name has none of those that are read by their ids, and the other way round.
	byID, byName := pipelineAt(0, 5), pipelineAt(1, 5)
	byID.id = "id"
	for _, group := range [][]*pipeline{{byID, byName}, {byName, byID}} {
		if reads, left = readsOf(group); len(reads) != 1 || reads[0].id != group[0].id || len(left) != 1 ||
			left[0] != group[1] {
			t.Errorf("beside id %q: %d reads, %d left", group[0].id, len(reads), len(left))
		}
	}
	// Who comes first is answered even where there is no more room in the answer.
	late := pipelineAt(0, 5)
	late.topic = "z"
	if reads, _ = readsOf([]*pipeline{late, pipelineAt(0, 5)}); reads[0].topic != "z" {
		t.Error("reads are not in the order of those who ask")
	}
}
