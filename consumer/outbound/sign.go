package outbound

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
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

// Signer signs requests by the scheme of Standard Webhooks (https://www.standardwebhooks.com), whose libraries check
// them. While secrets are being changed it has several: a receiver needs to know one of them.
type Signer []*Parsed[*webhooks.Webhook]

// NewSigner returns a Signer.
func NewSigner(secrets ...Secret) (_ Signer, err error) {
	s := make(Signer, len(secrets))
	for i, secret := range secrets {
		if s[i], err = NewParsed(secret, signingKey); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func signingKey(secret string) (*webhooks.Webhook, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minKey || len(key) > maxKey {
		return nil, errSigningSecret
	}
	return webhooks.NewWebhookRaw(key)
}

// Sign sets the three headers that say whose a body is; none without secrets. The
// id is the same whenever the same is sent again, so that a receiver can tell.
func (s Signer) Sign(h http.Header, id string, body []byte, at time.Time) {
	if len(s) == 0 {
		return
	}
	signatures := make([]string, len(s))
	for i, key := range s {
		signatures[i], _ = key.Now().Sign(id, at, body) // which cannot fail
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

// Secret returns a secret, which may be another one each time. It never prints itself.
type Secret func() string

// Fixed is a Secret that stays as it is.
func Fixed(secret string) Secret { return func() string { return secret } }

const masked = "****"

// Format implements fmt.Formatter, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Parsed is what a secret is read as, anew when it has changed. One that cannot be read leaves the last one.
type Parsed[T any] struct {
	secret Secret
	read   func(string) (T, error)

	mu    sync.Mutex
	text  string
	value T
}

// NewParsed reads a secret.
func NewParsed[T any](secret Secret, read func(string) (T, error)) (*Parsed[T], error) {
	text := secret()
	value, err := read(text)
	return &Parsed[T]{secret: secret, read: read, text: text, value: value}, err
}

// Now is the value of the moment.
func (p *Parsed[T]) Now() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := p.secret(); text != p.text {
		if value, err := p.read(text); err == nil {
			p.text, p.value = text, value
		}
	}
	return p.value
}
