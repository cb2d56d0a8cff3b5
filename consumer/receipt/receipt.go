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

	address [addressBytes]byte
}

const (
	addressBytes = 4
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

// Seal makes the reference of a job's message to an address, by its hash.
func (k *Key) Seal(job *topology.Job, to topology.AddressHash) string {
	lane := slices.Index(topology.Lanes(), job.Lane)
	id, isUUID := packed(job.EventID)
	b := make([]byte, 0, MaxLength)
	b = append(b, byte(max(lane, 0))<<1|isUUID)
	b = binary.AppendUvarint(b, uint64(max(job.Redrives, 0)))
	b = binary.AppendUvarint(b, uint64(max(job.Attempt, 0)))
	address := addressOf(to)
	b = append(b, address[:]...)
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
	lanes := topology.Lanes()
	if lane := int(first >> 1); n <= 0 || m <= 0 || lane >= len(lanes) || len(b) < n+m+addressBytes {
		return Ref{}, false
	}
	ref = Ref{Lane: lanes[first>>1], Redrives: int(redrives), Attempt: int(attempt)}
	b = b[n+m:]
	copy(ref.address[:], b)
	if b = b[addressBytes:]; first&1 == 0 {
		ref.Event = topology.EventID(b)
	} else if len(b) == uuidBytes {
		ref.Event = uuid(b)
	}
	return ref, ref.Event.Valid()
}

// IsTo reports whether the message went to an address, by its hash. One of four
// billion others counts as it.
func (r *Ref) IsTo(hash topology.AddressHash) bool {
	return hash != "" && r.address == addressOf(hash)
}

func addressOf(hash topology.AddressHash) (b [addressBytes]byte) {
	if len(hash) >= 2*addressBytes {
		_, _ = hex.Decode(b[:], []byte(hash[:2*addressBytes])) // it is hexadecimal
	}
	return b
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
