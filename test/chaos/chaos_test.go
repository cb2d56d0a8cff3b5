package main

import (
	"testing"
	"time"
)

// TestPlan: a seed is a plan, another seed another one, and every kind of fault is made before one is made again.
func TestPlan(t *testing.T) {
	one, same, other := newPlan(settings{seed: 1}), newPlan(settings{seed: 1}), newPlan(settings{seed: 2})
	kinds, differ := make(map[string]bool), false
	for i := range one {
		if one[i].kind != same[i].kind || one[i].chance != same[i].chance {
			t.Fatalf("fault %d of the same seed is %s, and was %s", i, same[i].kind, one[i].kind)
		}
		differ = differ || one[i].kind != other[i].kind
		if i < len(faults) {
			kinds[one[i].kind] = true
		}
	}
	if !differ || len(kinds) != len(faults) || len(kinds) < 14 {
		t.Errorf("another plan for another seed: %t; %d kinds of %d at first", differ, len(kinds), len(faults))
	}
}

// TestHurried: what a clock that was ahead let go is still on its way when that clock has gone.
func TestHurried(t *testing.T) {
	began := time.Now()
	s := &stand{report: report{made: []happened{
		{fault: fault{kind: clockAhead}, from: began, to: began.Add(10 * time.Second)},
		{fault: fault{kind: redisEmptied}, from: began.Add(time.Minute), to: began.Add(2 * time.Minute)},
	}}}
	for after, want := range map[time.Duration]bool{-1: false, 5: true, 13: true, 30: false, 90: false} {
		if got := s.hurried(began.Add(after * time.Second)); got != want {
			t.Errorf("%d s after it began: %t, want %t", after, got, want)
		}
	}
}

// TestLongestGap: what is outside of a time counts for nothing, and its ends count.
func TestLongestGap(t *testing.T) {
	began := time.Now()
	at := func(seconds ...int) (times []time.Time) {
		for _, s := range seconds {
			times = append(times, began.Add(time.Duration(s)*time.Second))
		}
		return times
	}
	for _, c := range []struct {
		times    []int
		from, to int
		want     int
	}{
		{nil, 1, 4, 3},
		{[]int{0, 2, 3, 9}, 1, 4, 1},
		{[]int{1, 2, 7}, 2, 6, 4},
		{[]int{1, 5, 6}, 0, 6, 4},
	} {
		got := longestGap(at(c.times...), at(c.from)[0], at(c.to)[0])
		if got != time.Duration(c.want)*time.Second {
			t.Errorf("%v from %d to %d: %v, want %d s", c.times, c.from, c.to, got, c.want)
		}
	}
}
