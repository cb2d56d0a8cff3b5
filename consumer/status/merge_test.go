package status

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/meddela/meddela/topology"
)

// now is a time, in whole milliseconds, whose statuses do not expire during a
// test.
var now = time.UnixMilli(time.Now().UnixMilli()).UTC()

var (
	genSource = rapid.SampledFrom([]topology.Source{
		"", "", "m.realtime.events/1/15", "m.realtime.events/11/4", "m.batch.events/1/15", "m.Batch.events/1/15",
		"m_batch.events/1/15",
	})
	genText   = rapid.SampledFrom([]string{"", "", "a", "ab", "a.B", "a\x00b", "é", "z\nö", "\xff", "10", "9"})
	genMoment = rapid.Custom(func(t *rapid.T) time.Time {
		return now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "milliseconds")) * time.Millisecond)
	})
	// genFarMoment also makes times that a hash has no room for.
	genFarMoment = rapid.OneOf(genMoment, rapid.SampledFrom([]time.Time{
		{}, time.UnixMilli(-1), time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(999), now.Add(1000 * time.Hour),
		now.Add(300*time.Nanosecond + 1000*time.Hour), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	}))
)

// genState makes what one record says of an event. Values are few, so that
// ties are many.
func genState(id topology.EventID) *rapid.Generator[topology.State] {
	return rapid.Custom(func(t *rapid.T) topology.State {
		state := topology.StateOf(&topology.Entry{
			EventID:           id,
			Lane:              topology.Lane(genText.Draw(t, "lane")),
			Redrives:          rapid.IntRange(0, 1).Draw(t, "redrives"),
			Attempt:           rapid.IntRange(0, 2).Draw(t, "attempt"),
			Status:            rapid.SampledFrom(topology.Statuses()).Draw(t, "status"),
			Reason:            topology.Reason(genText.Draw(t, "reason")),
			Detail:            genText.Draw(t, "detail"),
			Type:              genText.Draw(t, "type"),
			Channel:           topology.Channel(genText.Draw(t, "channel")),
			Template:          topology.TemplateRef(genText.Draw(t, "template")),
			Provider:          genText.Draw(t, "provider"),
			ProviderMessageID: genText.Draw(t, "provider_message_id"),
			Source:            genSource.Draw(t, "source"),
			ReceivedAt:        genFarMoment.Draw(t, "received_at"),
			At:                genMoment.Draw(t, "at"),
		})
		if rapid.Bool().Draw(t, "of the event itself") {
			state.Scheduled = storable(genFarMoment.Draw(t, "scheduled"))
		}
		return state
	})
}

var ids atomic.Int64

// newID is an id that no other event has.
func newID() topology.EventID { return topology.EventID(fmt.Sprintf("e-%d", ids.Add(1))) }

// TestRedisHoldsTheFold: whatever records say, in whatever order, however often
// each is read and however they are cut into batches, Redis holds what Go
// makes of them, to the byte, and for as long.
func TestRedisHoldsTheFold(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		rapid.Check(t, func(t *rapid.T) {
			store := Store{Client: client, Keys: keys, Chunk: rapid.IntRange(1, 3).Draw(t, "chunk")}
			var records []topology.State
			want := map[topology.EventID]topology.State{}
			for range rapid.IntRange(1, 3).Draw(t, "events") {
				id := newID()
				about := rapid.SliceOfN(genState(id), 1, 8).Draw(t, "records")
				want[id] = foldAll(about...)
				records = append(records, about...)
			}
			records = append(records, rapid.SliceOf(rapid.SampledFrom(records)).Draw(t, "again")...)
			records = rapid.Permutation(records).Draw(t, "order")
			for len(records) > 0 {
				n := rapid.IntRange(1, len(records)).Draw(t, "batch")
				mustWrite(t, &store, records[:n]...)
				records = records[n:]
			}
			for _, state := range want {
				mustHold(t, client, keys, &state, DefaultTTL)
			}
		})
	})
}

// TestRepeatsInOneWrite: a state may be given twice, and others of the same
// event beside it.
func TestRepeatsInOneWrite(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		rapid.Check(t, func(t *rapid.T) {
			store := Store{Client: client, Keys: keys, TTL: time.Hour}
			states := rapid.SliceOfN(genState(newID()), 1, 6).Draw(t, "states")
			mustWrite(t, &store, append(states, states...)...)
			want := foldAll(states...)
			mustHold(t, client, keys, &want, time.Hour)
		})
	})
}

// TestWritersSideBySide: partitions are written at the same time.
func TestWritersSideBySide(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		const events, writers = 120, 6
		store := Store{Client: client, Keys: keys, Notices: true}
		all := make([][]topology.State, writers)
		var want []topology.State
		for range events {
			id := newID()
			state := topology.State{EventID: id}
			for w := range all {
				said := genState(id).Example(int(ids.Load())*writers + w)
				all[w] = append(all[w], said)
				state.Merge(&said)
			}
			want = append(want, state)
		}
		var running sync.WaitGroup
		for _, states := range all {
			running.Go(func() {
				for len(states) > 0 {
					if err := store.Write(context.Background(), states[:min(7, len(states))]); err != nil {
						t.Error(err)
					}
					states = states[min(7, len(states)):]
				}
			})
		}
		running.Wait()
		for i := range want {
			mustHold(t, client, keys, &want[i], DefaultTTL)
		}
	})
}
