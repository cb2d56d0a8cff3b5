package receipt_test

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/topology"
)

const (
	kim   topology.AddressHash = "0123456789abcdef0123456789abcdef"
	robin topology.AddressHash = "1123456789abcdef0123456789abcdef"
)

var key = receipt.NewKey(strings.Repeat("p", 32))

func TestSealAndOpen(t *testing.T) {
	for _, row := range []struct {
		id   topology.EventID
		fits bool // a local part
	}{
		{"0b9fbb4e-6b6d-4d52-9d7e-0a8f4f7f9c11", true},
		{"0B9FBB4E-6B6D-4D52-9D7E-0A8F4F7F9C11", false}, // another id, with other letters
		{"01JDQ4Z8R0XK3V7M2T9C5B6N1P", true},            // a ULID
		{"realtime-11-123456789012", true},
		{"a", true},
		{topology.EventID(strings.Repeat("x", 128)), false},
		{topology.EventID("https://shop.example/" + strings.Repeat("x", 1900) + "#1"), false},
	} {
		job := topology.Job{EventID: row.id, Channel: topology.Email, Lane: topology.Batch, Redrives: 2, Attempt: 3}
		text := key.Seal(&job, kim)
		if fits := len(text) <= receipt.MaxLength; fits != row.fits {
			t.Errorf("%s: %d characters", row.id, len(text))
		}
		for _, given := range []string{text, strings.ToUpper(text)} {
			ref, ok := key.Open(given)
			if !ok || ref.Event != row.id || ref.Lane != topology.Batch || ref.Redrives != 2 || ref.Attempt != 3 {
				t.Errorf("%s came back as %+v, %v", row.id, ref, ok)
			}
			if !ref.IsTo(kim) || ref.IsTo(robin) || ref.IsTo("") {
				t.Errorf("%s: it does not know to whom it went", row.id)
			}
		}
	}
}

// TestOpenRefuses: what somebody else made, or changed in any place, is no reference.
func TestOpenRefuses(t *testing.T) {
	job := topology.Job{EventID: "order-1", Lane: topology.Realtime, Attempt: 1}
	text := key.Seal(&job, kim)
	for i := range text {
		changed := []byte(text)
		changed[i] = 'a' + (changed[i]-'a'+1)%26
		if i == len(text)-1 {
			continue // whose last bits stand for nothing
		}
		if _, ok := key.Open(string(changed)); ok {
			t.Errorf("changed at %d it was taken", i)
		}
	}
	if _, ok := receipt.NewKey(strings.Repeat("q", 32)).Open(text); ok {
		t.Error("another key opened it")
	}
	for _, text := range []string{"", "a", "-", strings.Repeat("a", 20), strings.Repeat("a", 1000), text + "aaaaaaaa"} {
		if ref, ok := key.Open(text); ok {
			t.Errorf("%q: %+v", text, ref)
		}
	}
}

func FuzzOpen(f *testing.F) {
	job := topology.Job{EventID: "order-1", Lane: topology.Realtime, Attempt: 1}
	f.Add(key.Seal(&job, kim))
	f.Fuzz(func(t *testing.T, text string) {
		if ref, ok := key.Open(text); ok && !ref.Event.Valid() {
			t.Errorf("%q: %+v", text, ref)
		}
	})
}
