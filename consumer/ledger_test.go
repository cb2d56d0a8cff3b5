package consumer

import (
	"errors"
	"reflect"
	"testing"
)

func TestLedger(t *testing.T) {
	l := newLedger()
	var committed []map[string]map[int]int64
	fail := errors.New("away")
	commit := func(err error) func(map[string]map[int]int64) error {
		return func(offsets map[string]map[int]int64) error {
			if len(offsets) > 0 {
				committed = append(committed, offsets)
			}
			return err
		}
	}
	check := func(step string, err error, want ...map[string]map[int]int64) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(committed, want) {
			t.Errorf("%s: committed %v, %v; want %v", step, committed, err, want)
		}
		committed = nil
	}

	check("nothing acknowledged", l.commit(commit(nil)))
	l.ack("events", 0, 5, true)
	l.ack("events", 0, 9, true)
	l.ack("log", 1, 3, true)
	check("the latest of each partition", l.commit(commit(nil)),
		map[string]map[int]int64{"events": {0: 9}, "log": {1: 3}})
	check("each only once", l.commit(commit(nil)))

	l.ack("events", 0, 12, true)
	l.ack("log", 1, 4, true)
	err := l.commit(func(map[string]map[int]int64) error {
		l.ack("log", 1, 6, true) // acknowledged while the commit was under way
		return fail
	})
	if !errors.Is(err, fail) {
		t.Errorf("a failed commit says %v", err)
	}
	check("after a failure both what failed and what came since", l.commit(commit(nil)),
		map[string]map[int]int64{"events": {0: 12}, "log": {1: 6}})
}

func TestLedgerWork(t *testing.T) {
	l := newLedger()
	l.ack("jobs", 0, 5, false)
	if l.worked() {
		t.Error("what was passed over counts as work")
	}
	l.ack("jobs", 1, 3, true)
	l.ack("jobs", 0, 6, false)
	if !l.worked() {
		t.Error("work is forgotten")
	}
	if err := l.commit(func(map[string]map[int]int64) error { return nil }); err != nil || l.worked() {
		t.Errorf("after the commit, %v, there is still work: %v", err, l.worked())
	}
}

// TestLedgerDrops what another commits from now on, also what was to be committed again.
func TestLedgerDrops(t *testing.T) {
	l := newLedger()
	l.ack("events", 0, 5, true)
	l.ack("events", 1, 6, true)
	l.ack("log", 0, 7, true)
	_ = l.commit(func(map[string]map[int]int64) error { return errors.New("away") })
	dropped := l.drop([]*pipeline{{topic: "events", partition: 0}, {topic: "log", partition: 0}})
	if want := (map[string]map[int]int64{"events": {0: -1}, "log": {0: -1}}); !reflect.DeepEqual(dropped, want) {
		t.Errorf("dropped %v", dropped)
	}
	_ = l.commit(func(left map[string]map[int]int64) error {
		if want := (map[string]map[int]int64{"events": {1: 6}}); !reflect.DeepEqual(left, want) {
			t.Errorf("left %v, want %v", left, want)
		}
		return nil
	})
}
