package bench

import (
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/topology"
)

func TestEventsAreOfOneSizeAndTakenByTheMatcher(t *testing.T) {
	templates, err := authoring.Load(samples.Templates())
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := newMatcher(topology.Topics{Prefix: "bench."}, templates)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{0, 7, 399_999, 12_345_678} {
		if got := len(newEvent(number).Value); got != eventBytes {
			t.Errorf("event %d has %d bytes, want %d", number, got, eventBytes)
		}
	}
	sizes, err := outputSizes(t.Context(), matcher)
	if err != nil {
		t.Fatal(err)
	}
	if sizes.job <= eventBytes || sizes.entry < 200 {
		t.Errorf("a job of %d bytes and an entry of %d: too small to be true", sizes.job, sizes.entry)
	}
}

func TestPairsOfEntriesAreOfOneEvent(t *testing.T) {
	seen := make(map[string][]topology.Status)
	make := pairedEntries()
	for at := range 800 {
		entry, err := topology.DecodeEntry(make(3, at).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(entry.EventID)] = append(seen[string(entry.EventID)], entry.Status)
	}
	if len(seen) != 400 {
		t.Fatalf("800 entries are of %d events, want 400", len(seen))
	}
	for id, statuses := range seen {
		if len(statuses) != 2 || statuses[0] != topology.PendingDelivery || statuses[1] != topology.Sent {
			t.Errorf("event %s: %v", id, statuses)
		}
	}
}

func TestDistinctEntriesAreOfDifferentEvents(t *testing.T) {
	seen := make(map[string]bool)
	entry := distinctEntries()
	for partition := range 12 {
		for at := range 100 {
			seen[string(entry(partition, at).Key)] = true
		}
	}
	if len(seen) != 1200 {
		t.Errorf("1200 entries are of %d events", len(seen))
	}
	if _, err := topology.DecodeEntry(entry(0, 0).Value); err != nil {
		t.Error(err)
	}
}
