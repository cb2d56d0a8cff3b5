package consumer

import "sync"

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

// commit passes what was acknowledged since the last commit to the given
// function; if that fails it is kept for the next time.
func (l *ledger) commit(commit func(map[string]map[int]int64) error) error {
	taken := l.take()
	if len(taken) == 0 {
		return nil
	}
	err := commit(taken)
	if err != nil {
		l.giveBack(taken)
	}
	return err
}

func (l *ledger) take() map[string]map[int]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work = false
	taken := l.acked
	l.acked = make(map[string]map[int]int64, len(taken))
	return taken
}

func (l *ledger) giveBack(taken map[string]map[int]int64) {
	for topic, partitions := range taken {
		for partition, next := range partitions {
			if !l.has(topic, partition) {
				l.ack(topic, partition, next, true)
			}
		}
	}
}

// worked reports whether anything was handled since the last commit.
func (l *ledger) worked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.work
}

func (l *ledger) has(topic string, partition int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.acked[topic][partition]
	return ok
}
