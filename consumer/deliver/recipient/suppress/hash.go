package suppress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/meddela/meddela/topology"
)

// Hasher makes the hashes that stand for addresses: HMAC-SHA-256 with a secret,
// the pepper, which keeps whoever reads Redis from finding out whose addresses
// are there by hashing all that he can think of. It is safe for use by several
// goroutines.
type Hasher struct {
	pepper      []byte
	fingerprint topology.AddressHash // the same for the same pepper, which it does not give away
}

// hashBytes is how much of a hash is used: two of ten million addresses share
// 16 bytes with a probability of about 10^-25.
const hashBytes = 16

// LeastPepper is the fewest bytes that a pepper may have: with fewer it could be
// guessed by whoever sees a hash of an address that he knows.
const LeastPepper = 32

// NewHasher makes a Hasher. The pepper is the same in every process of an
// installation.
func NewHasher(pepper string) *Hasher {
	h := &Hasher{pepper: []byte(pepper)}
	h.fingerprint = h.Hash("the pepper's own fingerprint, which is no address")
	return h
}

// Hash returns the hash of a normalized address.
func (h *Hasher) Hash(normal string) topology.AddressHash {
	mac := hmac.New(sha256.New, h.pepper)
	_, _ = mac.Write([]byte(normal)) // a hash never fails
	return topology.AddressHash(hex.EncodeToString(mac.Sum(nil)[:hashBytes]))
}
