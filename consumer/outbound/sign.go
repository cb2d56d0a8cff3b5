package outbound

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
type Signer []*webhooks.Webhook

// NewSigner returns a Signer.
func NewSigner(secrets ...Secret) (Signer, error) {
	s := make(Signer, len(secrets))
	for i, secret := range secrets {
		value := secret()
		err := CheckSigningSecret(value)
		if err == nil {
			s[i], err = webhooks.NewWebhook(value)
		}
		if err != nil {
			return nil, errSigningSecret
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
		signatures[i], _ = key.Sign(id, at, body) // which cannot fail
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
