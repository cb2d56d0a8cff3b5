package slab

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestSlab: slices have what was appended, also when they outgrew their room, and
// appending to one changes no other.
func TestSlab(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Slab
		var kept, want [][]byte
		for i := range rapid.IntRange(1, 50).Draw(t, "slices") {
			room := rapid.IntRange(0, 3*firstBytes).Draw(t, "room")
			size := rapid.IntRange(0, 3*firstBytes).Draw(t, "size")
			text := bytes.Repeat([]byte{byte(i)}, size)
			kept, want = append(kept, s.Keep(append(s.Room(room), text...))), append(want, text)
		}
		for i := range kept {
			_ = append(kept[i], 'x')
		}
		for i := range kept {
			if !bytes.Equal(kept[i], want[i]) {
				t.Fatalf("slice %d of %d is spoilt", i, len(kept))
			}
		}
	})
}
