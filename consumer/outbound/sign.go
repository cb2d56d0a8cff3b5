package outbound

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Headers of a signed request, as Standard Webhooks names them.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	secretPrefix   = "whsec_"
	minKey, maxKey = 24, 64 // bytes
)

// errSigningSecret does not repeat the secret.
var errSigningSecret = fmt.Errorf(
	"a signing secret is %s and %d to %d bytes in base64: make one with echo %s$(openssl rand -base64 32)",
	secretPrefix, minKey, maxKey, secretPrefix)

// CheckSigningSecret says what is wrong with a secret to sign with.
func CheckSigningSecret(secret string) error {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minKey || len(key) > maxKey {
		return errSigningSecret
	}
	return nil
}

// Signer signs requests by the scheme of Standard Webhooks
// (https://www.standardwebhooks.com), whose libraries check them. While secrets are
// being changed it has several: a receiver needs to know one of them.
type Signer []*signingKey

// signingKey is a secret's key, which is read again each time.
type signingKey struct {
	secret Secret
	last   atomic.Pointer[webhooks.Webhook] // that could be read
}

func (k *signingKey) read() error {
	value := k.secret()
	if err := CheckSigningSecret(value); err != nil {
		return err
	}
	key, err := webhooks.NewWebhook(value)
	if err != nil {
		return errSigningSecret
	}
	k.last.Store(key)
	return nil
}

// NewSigner returns a Signer.
func NewSigner(secrets ...Secret) (Signer, error) {
	s := make(Signer, len(secrets))
	for i, secret := range secrets {
		s[i] = &signingKey{secret: secret}
		if err := s[i].read(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Sign sets the three headers that say whose a body is; none without secrets. The
// id is the same whenever the same is sent again, so that a receiver can tell.
func (s Signer) Sign(h http.Header, id string, body []byte, at time.Time) {
	if len(s) == 0 {
		return
	}
	signatures := make([]string, len(s))
	for i, key := range s {
		_ = key.read()                                        // or the last one serves on
		signatures[i], _ = key.last.Load().Sign(id, at, body) // which cannot fail
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

// Secret returns a secret, which may be another one each time. It never
// prints itself.
type Secret func() string

// Fixed is a Secret that stays as it is.
func Fixed(secret string) Secret { return func() string { return secret } }

const masked = "****"

// Format implements fmt.Formatter, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
