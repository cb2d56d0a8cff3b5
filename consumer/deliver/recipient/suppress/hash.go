package suppress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/meddela/meddela/topology"
)

// Hasher makes the hashes that stand for addresses: HMAC-SHA-256 with a secret,
// the pepper, which keeps whoever reads Redis from finding out whose addresses
// are there by hashing all that he can think of. It is safe for use by several
// goroutines.
type Hasher struct {
	pool        sync.Pool
	fingerprint string // the same for the same pepper, which it does not give away
}

// hashBytes is how much of a hash is used: two of ten million addresses share
// 16 bytes with a probability of about 10^-25.
const hashBytes = 16

// NewHasher makes a Hasher. The pepper is the same in every process of an
// installation; without one, hashes can be made by anybody.
func NewHasher(pepper string) *Hasher {
	key := []byte(pepper)
	h := &Hasher{pool: sync.Pool{New: func() any { return &hashing{mac: hmac.New(sha256.New, key)} }}}
	h.fingerprint = h.sum("the pepper's own fingerprint, which is no address")
	return h
}

// Hash returns the hash of a normalized address.
func (h *Hasher) Hash(normal string) topology.AddressHash { return topology.AddressHash(h.sum(normal)) }

// hashing is what one hash needs, kept for the next.
type hashing struct {
	mac  hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

func (h *Hasher) sum(text string) string {
	one := h.pool.Get().(*hashing)
	defer h.pool.Put(one)
	one.mac.Reset()
	one.text = append(one.text[:0], text...)
	_, _ = one.mac.Write(one.text) // a hash never fails
	clear(one.text)
	return hex.EncodeToString(one.mac.Sum(one.sum[:0])[:hashBytes])
}
