// Package receipt makes the references that messages carry to a provider, and reads
// them in what the provider says of the messages afterwards.
//
// A reference names the event and the attempt, so that nothing needs to be kept to
// find them, and is sealed, so that only whoever has got one can give it back. It
// fits the local part of an address, and its letters have no case.
package receipt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/meddela/meddela/topology"
)

// Ref is what a reference says.
type Ref struct {
	Event    topology.EventID
	Lane     topology.Lane
	Redrives int
	Attempt  int

	address string // the beginning of its hash, in hexadecimal
}

const (
	addressBytes = 4
	hashBytes    = 16   // where there is room: the whole hash
	wholeHash    = 0x80 // in the first byte, beside the lane and whether the id is a UUID
	sealBytes    = 7
	uuidBytes    = 16
	// MaxLength is that of a local part (RFC 5321, 4.5.3.1.1). Ids of up to 27
	// characters, and UUIDs, give references within it.
	MaxLength = 64
	maxText   = 4 << 10 // of any reference: of the longest id too
)

// Key seals references and opens them. Several goroutines may use it.
type Key struct{ key []byte }

// NewKey derives a Key from the secret that addresses are hashed with, of which it
// tells nothing.
func NewKey(pepper string) *Key {
	mac := hmac.New(sha256.New, []byte(pepper))
	_, _ = mac.Write([]byte("\x00references to messages")) // no address begins so
	return &Key{mac.Sum(nil)}
}

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Seal makes the reference of a job's message to an address, by its hash. That of an
// e-mail has to fit a local part.
func (k *Key) Seal(job *topology.Job, to topology.AddressHash) string {
	lane := slices.Index(topology.Lanes(), job.Lane)
	id, kind := packed(job.EventID)
	address := make([]byte, addressBytes)
	if job.Channel != topology.Email && len(to) == 2*hashBytes {
		address, kind = make([]byte, hashBytes), kind|wholeHash
	}
	_, _ = hex.Decode(address, []byte(to[:min(len(to), 2*len(address))])) // it is hexadecimal
	b := make([]byte, 0, MaxLength)
	b = append(b, byte(max(lane, 0))<<1|kind)
	b = binary.AppendUvarint(b, uint64(max(job.Redrives, 0)))
	b = binary.AppendUvarint(b, uint64(max(job.Attempt, 0)))
	b = append(b, address...)
	b = append(b, id...)
	return letters.EncodeToString(append(b, k.seal(b)...))
}

func (k *Key) seal(b []byte) []byte {
	mac := hmac.New(sha256.New, k.key)
	_, _ = mac.Write(b) // a hash never fails
	return mac.Sum(nil)[:sealBytes]
}

// Open reads a reference; ok is false for one that the key has not sealed.
func (k *Key) Open(text string) (ref Ref, ok bool) {
	if len(text) > maxText {
		return Ref{}, false
	}
	b, err := letters.DecodeString(strings.ToLower(text))
	if err != nil || len(b) <= sealBytes {
		return Ref{}, false
	}
	b, seal := b[:len(b)-sealBytes], b[len(b)-sealBytes:]
	if !hmac.Equal(seal, k.seal(b)) {
		return Ref{}, false
	}
	first, b := b[0], b[1:]
	redrives, n := binary.Uvarint(b)
	attempt, m := binary.Uvarint(b[max(n, 0):])
	lanes, size := topology.Lanes(), addressBytes
	if first&wholeHash != 0 {
		size = hashBytes
	}
	lane := int(first&^wholeHash) >> 1
	if n <= 0 || m <= 0 || lane >= len(lanes) || len(b) < n+m+size {
		return Ref{}, false
	}
	ref = Ref{Lane: lanes[lane], Redrives: int(redrives), Attempt: int(attempt)}
	b = b[n+m:]
	ref.address = hex.EncodeToString(b[:size])
	if b = b[size:]; first&1 == 0 {
		ref.Event = topology.EventID(b)
	} else if len(b) == uuidBytes {
		ref.Event = uuid(b)
	}
	return ref, ref.Event.Valid()
}

// IsTo reports whether the message went to an address, by its hash. One of four
// billion others counts as it.
func (r *Ref) IsTo(hash topology.AddressHash) bool {
	return r.address != "" && strings.HasPrefix(string(hash), r.address)
}

// Hash is the address's, where the reference has all of it.
func (r *Ref) Hash() topology.AddressHash {
	if len(r.address) == 2*hashBytes {
		return topology.AddressHash(r.address)
	}
	return ""
}

// packed is an id in few bytes: a UUID in its sixteen.
func packed(id topology.EventID) (b []byte, isUUID byte) {
	b, err := hex.DecodeString(strings.ReplaceAll(string(id), "-", ""))
	if err == nil && len(b) == uuidBytes && uuid(b) == id {
		return b, 1
	}
	return []byte(id), 0
}

func uuid(b []byte) topology.EventID {
	text := hex.EncodeToString(b)
	return topology.EventID(strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"))
}
