package consumer

import (
	"slices"
	"testing"

	"github.com/meddela/meddela/topology"
)

func pipelineAt(partition int, offset int64) *pipeline {
	p := &pipeline{topic: "t", partition: partition}
	p.fetcher.SeekTo(offset)
	return p
}

// TestJoin: only who is at a read's place, or a little ahead of it, is served by it, until it has ended.
func TestJoin(t *testing.T) {
	r := NewReader(nil, nil, 1)
	behind := []*read{{place: place{"t", 3}, offset: 10}}
	front := []*read{{place: place{"t", 3}, offset: 1000}}
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
	// Who comes first is answered even where there is no more room in the answer.
	late := pipelineAt(0, 5)
	late.topic = "z"
	if reads, _ = readsOf([]*pipeline{late, pipelineAt(0, 5)}); reads[0].topic != "z" {
		t.Error("reads are not in the order of those who ask")
	}
}
