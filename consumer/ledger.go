package consumer

import (
	"maps"
	"sync"
)

// ledger keeps how far each partition is acknowledged, and how much of that is
// committed.
type ledger struct {
	mu    sync.Mutex
	acked map[string]map[int]int64 // what is not committed yet
	work  bool                     // some of it was handled, rather than passed over
}

func newLedger() *ledger { return &ledger{acked: make(map[string]map[int]int64)} }

// ack says that everything below next is published and acknowledged, and
// whether that was work.
func (l *ledger) ack(topic string, partition int, next int64, work bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work = l.work || work
	partitions := l.acked[topic]
	if partitions == nil {
		partitions = make(map[int]int64)
		l.acked[topic] = partitions
	}
	partitions[partition] = next
}

// commit passes what was acknowledged since the last commit, which may be nothing, to the
// given function; if that fails it is kept for the next time.
func (l *ledger) commit(commit func(map[string]map[int]int64) error) error {
	l.mu.Lock()
	taken := l.acked
	l.acked, l.work = make(map[string]map[int]int64, len(taken)), false
	l.mu.Unlock()
	err := commit(taken)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		for topic, partitions := range l.acked { // which is later
			if taken[topic] == nil {
				taken[topic] = partitions
			}
			maps.Copy(taken[topic], partitions)
		}
		l.acked, l.work = taken, len(taken) > 0
	}
	return err
}

// drop forgets some partitions, and returns them with a negative offset.
func (l *ledger) drop(gone []*pipeline) map[string]map[int]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped := make(map[string]map[int]int64)
	for _, p := range gone {
		topic := string(p.topic)
		if dropped[topic] == nil {
			dropped[topic] = make(map[int]int64)
		}
		dropped[topic][p.partition] = -1
		if delete(l.acked[topic], p.partition); len(l.acked[topic]) == 0 {
			delete(l.acked, topic)
		}
	}
	return dropped
}

// worked reports whether anything was handled since the last commit.
func (l *ledger) worked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.work
}
