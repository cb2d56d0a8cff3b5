package suppress_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
)

func TestHash(t *testing.T) {
	a, b, none := suppress.NewHasher("pepper"), suppress.NewHasher("other"), suppress.NewHasher("")
	// So that no later version hashes otherwise: every address would be lost.
	if got := a.Hash("kim@example.com"); got != "e055959d00227e0a24d8b73bc5452a6d" {
		t.Errorf("the hash is %s", got)
	}
	if got := none.Hash("kim@example.com"); got != "339ddf2e8137246f604b58d371b67a01" {
		t.Errorf("the hash without a pepper is %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := rapid.String().Draw(t, "x"), rapid.String().Draw(t, "y")
		hash := a.Hash(x)
		if len(hash) != 32 || strings.Trim(string(hash), "0123456789abcdef") != "" {
			t.Fatalf("the hash of %q is %q", x, hash)
		}
		if suppress.NewHasher("pepper").Hash(x) != hash || hash == b.Hash(x) || hash == none.Hash(x) ||
			(a.Hash(y) == hash) != (x == y) {
			t.Fatalf("hashes of %q and %q", x, y)
		}
	})
}
