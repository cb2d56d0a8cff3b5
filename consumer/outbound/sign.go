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

// Bounds of a signing key, and of how many a Signer may have.
const (
	secretPrefix      = "whsec_"
	minKey, maxKey    = 24, 64
	maxSigningSecrets = 16
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
type Signer []Secret

// NewSigner returns a Signer.
func NewSigner(secrets ...Secret) (Signer, error) {
	if len(secrets) > maxSigningSecrets {
		return nil, fmt.Errorf("outbound: sign with at most %d secrets", maxSigningSecrets)
	}
	return secrets, nil
}

// Sign sets the three headers that say whose a body is; none without secrets. The
// id is the same whenever the same is sent again, so that a receiver can tell. It
// fails if one of the secrets is not usable at this moment.
func (s Signer) Sign(h http.Header, id string, body []byte, at time.Time) error {
	if len(s) == 0 {
		return nil
	}
	signatures := make([]string, len(s))
	for i, secret := range s {
		value := secret()
		if err := CheckSigningSecret(value); err != nil {
			return err
		}
		key, err := webhooks.NewWebhook(value)
		if err == nil {
			signatures[i], err = key.Sign(id, at, body)
		}
		if err != nil {
			return errSigningSecret
		}
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
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
