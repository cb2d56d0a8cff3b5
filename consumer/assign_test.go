package consumer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// group is members that do as they are told.
type group struct {
	t       *testing.T
	members map[string]*said
	counts  map[string]int
	since   int32
}

// round shares out once, over the wire form of what members say and are given, and
// returns how many partitions came to somebody new, and how many were given up.
func (g *group) round() (came, gone int) {
	g.t.Helper()
	g.since++
	heard := make(map[string]*said)
	for id, s := range g.members {
		b, err := s.encode()
		if err != nil {
			g.t.Fatal(err)
		}
		if heard[id], _ = decodeSaid(b); !reflect.DeepEqual(heard[id], s) {
			g.t.Fatalf("%+v became %+v", s, heard[id])
		}
	}
	encoded, err := encodeAll(assign(heard, g.counts))
	if err != nil {
		g.t.Fatal(err)
	}
	held := make(map[string]string) // by whom, before
	for id, s := range g.members {
		for topic, numbers := range s.Owned {
			for _, n := range numbers {
				held[fmt.Sprint(topic, n)] = id
			}
		}
	}
	taken := make(map[string]string)
	for id, s := range g.members {
		assigned, err := decodeAssigned(encoded[id])
		if err != nil {
			g.t.Fatal(err)
		}
		for topic, numbers := range assigned {
			for _, n := range numbers {
				place := fmt.Sprint(topic, n)
				if other := taken[place]; other != "" {
					g.t.Errorf("%s is for %s and %s", place, other, id)
				}
				if by := held[place]; by != "" && by != id {
					g.t.Errorf("%s is for %s while %s works on it", place, id, by)
				}
				if held[place] == "" {
					came++
				}
				taken[place] = id
			}
		}
		for topic, numbers := range s.Owned {
			for _, n := range numbers {
				if !slices.Contains(assigned[topic], n) {
					gone++
				}
			}
		}
		s.Owned, s.Since = assigned, g.since
		if len(assigned) == 0 {
			s.Owned = nil
		}
	}
	return came, gone
}

// settled runs rounds until nothing moves any more, which it soon must, and checks that
// all is with somebody, evenly, and what belongs together with one.
func (g *group) settled() (moved int) {
	g.t.Helper()
	for range 3 {
		came, gone := g.round()
		moved += came
		if came+gone == 0 {
			break
		}
	}
	if came, gone := g.round(); came+gone > 0 {
		g.t.Errorf("it does not settle")
	}
	total, fewest, most := 0, 1<<30, 0
	for id, s := range g.members {
		n := 0
		for topic, numbers := range s.Owned {
			n += len(numbers)
			if !slices.IsSorted(numbers) {
				g.t.Errorf("%s has %v of %s", id, numbers, topic)
			}
		}
		total, fewest, most = total+n, min(fewest, n), max(most, n)
		if g.counts["events"] == g.counts["log"] && !slices.Equal(s.Owned["events"], s.Owned["log"]) {
			g.t.Errorf("%s has %v", id, s.Owned)
		}
	}
	if want := g.counts["events"] + g.counts["log"]; total != want {
		g.t.Errorf("%d of %d partitions are with somebody", total, want)
	}
	if most-fewest > len(g.counts) {
		g.t.Errorf("one has %d, another %d", fewest, most)
	}
	return moved
}

// TestAssign: members come and go; all is always worked on by one, and little moves.
func TestAssign(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		n := 1 + random.IntN(20)
		g := &group{t: t, members: make(map[string]*said), counts: map[string]int{"events": n, "log": n}}
		come := func(id string) { g.members[id] = &said{Topics: []string{"events", "log"}, Counts: g.counts} }
		come("first")
		g.settled()
		for step := range 12 {
			before := len(g.members)
			if before > 1 && random.IntN(2) == 0 {
				ids := slices.Sorted(maps.Keys(g.members))
				delete(g.members, ids[random.IntN(len(ids))])
			} else {
				come(fmt.Sprintf("%x-%d", random.Uint32(), step))
			}
			if most := 2 * (n/min(before, len(g.members)) + 1); g.settled() > most {
				t.Errorf("seed %d: more than %d of %d partitions moved as %d members became %d", seed, most, 2*n, before,
					len(g.members))
			}
		}
		if g.counts["events"] += 3; g.settled() != 3 {
			t.Errorf("seed %d: more than what is new has moved", seed)
		}
	}
}

// TestAssignToEarlierVersions, which say only what they read, and of which some read less.
func TestAssignToEarlierVersions(t *testing.T) {
	old, _ := decodeSaid([]byte("\x00\x00\x00\x00\x00\x01\x00\x06events\xff\xff\xff\xff"))
	now := &said{Topics: []string{"events", "log"}, Owned: partitionsOf{"events": {0, 1}, "log": {0, 1}}, Since: 3}
	got := assign(map[string]*said{"old": old, "now": now}, map[string]int{"events": 2, "log": 2})
	want := map[string]partitionsOf{"old": {}, "now": {"events": {0}, "log": {0, 1}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	now.Owned["events"] = []int{0}
	want["old"] = partitionsOf{"events": {1}}
	got = assign(map[string]*said{"old": old, "now": now}, map[string]int{"events": 2, "log": 2})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAssignmentsThatMakeNoSense are no reason to fall over.
func TestAssignmentsThatMakeNoSense(t *testing.T) {
	for _, b := range []string{"\x00", "\x00\x00\x00\x00\x00\x09", "\x00\x00\x00\x00\x00\x01\x00\x01t\x7f\xff\xff\xff"} {
		if got, err := decodeAssigned([]byte(b)); err == nil || len(got) > 0 {
			t.Errorf("%q: %v, %v", b, got, err)
		}
		if got, err := decodeSaid([]byte(b)); err == nil || len(got.Topics) > 0 {
			t.Errorf("%q: %v, %v", b, got, err)
		}
	}
	for _, count := range []int{mostPartitions + 1, 1 << 31, 1 << 62} {
		b, err := (&said{Topics: []string{"t"}, Counts: map[string]int{"t": count, "u": -1}}).encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeSaid(b); err == nil || len(got.Counts) > 0 {
			t.Errorf("%d partitions are believed: %v", count, got)
		}
	}
	odd := &said{Topics: []string{"t"}, Owned: partitionsOf{"t": {-1, 0, 7, 1 << 40}, "u": {3}}}
	got := assign(map[string]*said{"a": odd, "b": {}}, map[string]int{"t": 2})
	if want := (map[string]partitionsOf{"a": {"t": {0, 1}}, "b": {}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAssignWhatIsHeldApart: two members have partitions of one number, after another version has
// shared them out; neither gets the other's before that is given up.
func TestAssignWhatIsHeldApart(t *testing.T) {
	topics := []string{"events", "log"}
	members := map[string]*said{
		"a": {Topics: topics, Owned: partitionsOf{"events": {0}}, Since: 1},
		"b": {Topics: topics, Owned: partitionsOf{"log": {0}}, Since: 2},
	}
	got := assign(members, map[string]int{"events": 1, "log": 1})
	want := map[string]partitionsOf{"a": {}, "b": {"log": {0}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
