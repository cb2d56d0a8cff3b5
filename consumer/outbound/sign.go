package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader is the name of the header that a signature stands in.
const SignatureHeader = "Meddela-Signature"

// MinSigningBytes is how long a secret must be that whoever writes a
// configuration chooses: a shorter one can be guessed from one signature.
const MinSigningBytes = 16

// Signer signs bodies with HMAC-SHA256.
type Signer struct{ secrets []Secret }

var errNoSecret = errors.New("outbound: a secret to sign with is empty")

// NewSigner returns a Signer. While secrets are being changed there are
// several: a receiver needs to know one of them.
func NewSigner(secrets ...Secret) (*Signer, error) {
	if len(secrets) == 0 || len(secrets) > maxSignatures {
		return nil, errors.New("outbound: sign with 1 to 16 secrets")
	}
	for _, s := range secrets {
		if s == nil {
			return nil, errNoSecret
		}
	}
	return &Signer{secrets: secrets}, nil
}

// Sign returns the value of SignatureHeader: "t=<Unix seconds>,v1=<hex>", with
// a v1 for every secret. Signed is the text of the seconds, a full stop, and
// the body. It fails if a secret is empty at this moment.
func (s *Signer) Sign(body []byte, at time.Time) (string, error) {
	seconds := strconv.AppendInt(nil, at.Unix(), 10)
	value := append([]byte("t="), seconds...)
	var sum [sha256.Size]byte
	for _, secret := range s.secrets {
		key := secret()
		if key == "" {
			return "", errNoSecret
		}
		value = append(value, ",v1="...)
		value = hex.AppendEncode(value, signature(hmac.New(sha256.New, []byte(key)), seconds, body, sum[:0]))
	}
	return string(value), nil
}

func signature(h hash.Hash, seconds, body, sum []byte) []byte {
	h.Write(seconds)
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(sum)
}

// Errors of Verify.
var (
	ErrNoSignature    = errors.New("there is no readable " + SignatureHeader)
	ErrWrongSignature = errors.New("no signature is by one of the secrets")
	ErrSignatureTime  = errors.New("the signature's time is too far from now")
)

const (
	maxSignatures     = 16
	maxSignatureBytes = 4096
)

// Verify tells a receiver whether a body is as it was signed with one of the
// secrets, at a time that differs from now by tolerance at most. A body that
// was signed can be sent again within that time: its id tells.
func Verify(header string, body []byte, now time.Time, tolerance time.Duration, secrets ...string) error {
	seconds, at, sums := parseSignature(header)
	if len(sums) == 0 {
		return ErrNoSignature
	}
	if !isSigned(seconds, body, sums, secrets) {
		return ErrWrongSignature
	}
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return ErrSignatureTime
	}
	return nil
}

func isSigned(seconds string, body []byte, sums [][]byte, secrets []string) bool {
	var buffer [sha256.Size]byte
	signed := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := signature(hmac.New(sha256.New, []byte(secret)), []byte(seconds), body, buffer[:0])
		for _, sum := range sums {
			signed = hmac.Equal(sum, want) || signed
		}
	}
	return signed
}

// parseSignature reads a header's time and signatures, and passes over what it
// does not know. No signatures mean that the header cannot be read.
func parseSignature(header string) (seconds string, at time.Time, sums [][]byte) {
	if len(header) > maxSignatureBytes {
		return "", time.Time{}, nil
	}
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			unix, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seconds != "" {
				return "", time.Time{}, nil
			}
			seconds, at = value, time.Unix(unix, 0)
		case "v1":
			if sum, err := hex.DecodeString(value); err == nil && len(sum) == sha256.Size && len(sums) < maxSignatures {
				sums = append(sums, sum)
			}
		}
	}
	if seconds == "" {
		return "", time.Time{}, nil
	}
	return seconds, at, sums
}
