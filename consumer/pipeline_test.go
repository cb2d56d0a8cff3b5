package consumer

import (
	"runtime"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// TestThereIsRoomForWhatIsAskedFor: however takes and fetches meet, a fetch is asked for only where its batch
// will have room, and always once there is.
func TestThereIsRoomForWhatIsAskedFor(t *testing.T) {
	const batches = 200_000
	p := &pipeline{
		assignment: &assignment{member: newMember(New(Config{}))},
		batches:    make(chan fetched, ahead),
		tracker:    newTracker("t", 0, time.Now()),
	}
	asked := make(chan struct{}, batches)
	asked <- struct{}{}
	go func() {
		for i := range batches {
			<-asked
			if len(p.batches) == cap(p.batches) {
				t.Errorf("batch %d has no room", i)
				close(p.batches)
				return
			}
			if p.take(&Fetched{Records: make([]topology.Record, 1), Next: int64(i + 1), Moved: true}) {
				asked <- struct{}{}
			}
		}
	}()
	for range batches {
		if _, ok := <-p.batches; !ok {
			return
		}
		runtime.Gosched()
		p.mu.Lock()
		again := p.roomAgain()
		p.mu.Unlock()
		if again {
			asked <- struct{}{}
		}
		p.tracker.reached(1<<40, time.Now())
	}
}

// TestWhereToGoOn when the wanted offset is not there.
func TestWhereToGoOn(t *testing.T) {
	last := time.Now()
	at := func(offset int64) map[int64]time.Time { return map[int64]time.Time{offset: last} }
	is := func(first, last int64, by map[int64]time.Time) kafka.PartitionOffsets {
		return kafka.PartitionOffsets{FirstOffset: first, LastOffset: last, Offsets: by}
	}
	for name, test := range map[string]struct {
		wanted, want int64
		last         time.Time
		is           kafka.PartitionOffsets
	}{
		"retention":                      {5, 20, last, is(20, 90, at(30))},
		"all is gone":                    {5, 20, last, is(20, 20, at(-1))},
		"a lost leader had more":         {95, 80, last, is(20, 90, at(80))},
		"and the new one has them now":   {95, 80, last, is(20, 200, at(80))},
		"and nothing is new":             {95, 90, last, is(20, 90, at(-1))},
		"a new topic":                    {95, 0, last, is(0, 3, at(0))},
		"beyond the end since the start": {95, 20, time.Time{}, is(20, 90, nil)},
	} {
		p := &pipeline{fetcher: Fetcher{offset: test.wanted}, last: test.last}
		if got := p.whereOf(&test.is); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestWhoseEndingItIs: a record that cannot be handled ends its own event, whatever its value looks like; a role that
// may not write to the log ends none.
func TestWhoseEndingItIs(t *testing.T) {
	names := topology.Topics{Prefix: "test."}
	job := topology.Job{
		JobID: "j", EventID: "victim", Lane: topology.Realtime, Attempt: 1, Template: "a@1", Type: "a",
		Channel: topology.Email, Source: "test.realtime.events/2/5", Event: []byte("{}"),
	}
	events, jobs := names.Events(topology.Realtime), names.Jobs(topology.Realtime)
	for _, test := range []struct {
		role      topology.Role
		reads, of topology.Topic
		want      topology.EventID
	}{
		{topology.RoleMatch, events, events, "realtime-2-5"},
		{topology.RoleMatch, events, jobs, "victim"},
		{topology.RoleDeliver, jobs, jobs, "victim"},
		{topology.RoleStatus, events, events, ""},
		{topology.RoleNotify, jobs, jobs, ""},
	} {
		l := New(Config{Role: test.role, Lane: topology.Realtime, Names: names})
		p := (&assignment{member: newMember(l)}).newPipeline(test.reads, kafka.PartitionAssignment{ID: 2})
		record := topology.Record{Topic: test.of, Partition: 2, Offset: 5, Value: job.Append(nil)}
		var got topology.EventID
		for _, entry := range p.entryOn(&record, topology.ReasonTopicRejected) {
			got = topology.EventID(entry.Key)
		}
		if got != test.want {
			t.Errorf("%s, %s: the event %q is ended, want %q", test.role, test.of, got, test.want)
		}
	}
}
