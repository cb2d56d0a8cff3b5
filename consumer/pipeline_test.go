package consumer

import (
	"runtime"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestThereIsRoomForWhatIsAskedFor: however takes and fetches meet, a fetch is asked for only where its batch
// will have room, and always once there is.
func TestThereIsRoomForWhatIsAskedFor(t *testing.T) {
	const batches = 200_000
	p := &pipeline{
		generation: &generation{loop: New(Config{})},
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
