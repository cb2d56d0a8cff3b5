package topology

import "testing"

// TestSlotOf compares with what CLUSTER KEYSLOT of a Redis answers.
func TestSlotOf(t *testing.T) {
	for key, want := range map[string]uint16{
		"":                     0,
		"123456789":            12739,
		"foo":                  12182,
		"{user1000}.following": 3443,
		"{user1000}.followers": 3443,
		"foo{}{bar}":           8363,
		"foo{{bar}}zap":        4015,
		"foo{bar}{zap}":        5061,
		"foo{bar":              15278,
	} {
		if got := SlotOf(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}
