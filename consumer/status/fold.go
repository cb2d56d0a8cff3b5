package status

import (
	"sync"

	"github.com/meddela/meddela/topology"
)

// fold is the state of each event of one batch.
type fold struct {
	states []topology.State
	index  map[topology.EventID]int
}

// folds are kept for the next batch, so that their map and slice need not grow
// again.
var folds = sync.Pool{New: func() any { return &fold{index: make(map[topology.EventID]int)} }}

func takeFold() *fold { return folds.Get().(*fold) }

// release empties the fold, so that it does not keep the batch's texts alive,
// and gives it back.
func (f *fold) release() {
	clear(f.states)
	f.states = f.states[:0]
	clear(f.index)
	folds.Put(f)
}

// add merges a state into that of its event.
func (f *fold) add(s *topology.State) {
	if at, ok := f.index[s.EventID]; ok {
		f.states[at].Merge(s)
		return
	}
	f.index[s.EventID] = len(f.states)
	f.states = append(f.states, *s)
}
