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
			committed = append(committed, offsets)
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
	l.ack("events", 0, 5)
	l.ack("events", 0, 9)
	l.ack("log", 1, 3)
	check("the latest of each partition", l.commit(commit(nil)),
		map[string]map[int]int64{"events": {0: 9}, "log": {1: 3}})
	check("each only once", l.commit(commit(nil)))

	l.ack("events", 0, 12)
	l.ack("log", 1, 4)
	err := l.commit(func(map[string]map[int]int64) error {
		l.ack("log", 1, 6) // acknowledged while the commit was under way
		return fail
	})
	if !errors.Is(err, fail) {
		t.Errorf("a failed commit says %v", err)
	}
	check("after a failure both what failed and what came since", l.commit(commit(nil)),
		map[string]map[int]int64{"events": {0: 12}, "log": {1: 6}})
}
