package receive

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/outbound"
)

// Scheme is how a provider shows that a receipt is its own.
type Scheme string

const (
	Token    Scheme = "token"    // the secret: a bearer token, a basic password, or the query's token
	HMAC     Scheme = "hmac"     // SHA-256 over the body, hexadecimal or in base64, in a header
	Standard Scheme = "standard" // Standard Webhooks
	Twilio   Scheme = "twilio"   // SHA-1 over the URL that it was given and the form
	SendGrid Scheme = "sendgrid" // ECDSA over a timestamp and the body; the secret is the public key
	Mailgun  Scheme = "mailgun"  // SHA-256 over a timestamp and a token
	Sinch    Scheme = "sinch"    // SHA-256 over body, nonce and timestamp
	Vonage   Scheme = "vonage"   // a JSON Web Token, with the body's hash
)

// Schemes lists every scheme.
func Schemes() []Scheme {
	return []Scheme{Token, HMAC, Standard, Twilio, SendGrid, Mailgun, Sinch, Vonage}
}

// Verify says how to tell that a receipt is the provider's. Where a time is signed, it is
// not older than the provider's last repetition may be: who has seen a receipt cannot send
// it again for ever.
type Verify struct {
	Scheme Scheme
	Secret outbound.Secret
	Header string // of HMAC
	URL    string // of Twilio: the public one that the provider was given, without its query
}

func (v *Verify) check() error {
	switch {
	case !slices.Contains(Schemes(), v.Scheme):
		return errors.New("verify: unknown scheme")
	case v.Secret == nil || v.Secret() == "":
		return errors.New("verify: it needs a secret")
	case (v.Scheme == HMAC) != (v.Header != ""):
		return errors.New("verify: a header is needed with scheme hmac, and with no other")
	case (v.Scheme == Twilio) != (v.URL != ""):
		return errors.New("verify: a url, as the provider was given it, is needed with scheme twilio, and with no other")
	case v.Scheme == Standard:
		if _, err := webhooks.NewWebhook(v.Secret()); err != nil {
			return errors.New("verify: the secret must be whsec_ and base64, as the provider shows it")
		}
	case v.Scheme == SendGrid:
		_, err := publicKey(v.Secret())
		return err
	}
	return nil
}

func (v *Verify) passes(r *http.Request, body []byte) bool {
	secret, header := v.Secret(), r.Header.Get
	if secret == "" {
		return false // a file that is just being replaced
	}
	switch v.Scheme {
	case Token:
		_, password, _ := r.BasicAuth()
		bearer, _ := strings.CutPrefix(header("Authorization"), "Bearer ")
		return equal(password, secret) || equal(bearer, secret) || equal(r.URL.Query().Get("token"), secret)
	case HMAC:
		_, signature, prefixed := strings.Cut(header(v.Header), "sha256=")
		if !prefixed {
			signature = header(v.Header)
		}
		return signs(sha256.New, secret, signature, string(body))
	case Standard:
		key, err := webhooks.NewWebhook(secret)
		return err == nil && key.Verify(body, r.Header) == nil
	case Twilio:
		form, _ := url.ParseQuery(string(body))
		text := []string{v.URL}
		if r.URL.RawQuery != "" {
			text = append(text, "?", r.URL.RawQuery)
		}
		for _, name := range slices.Sorted(maps.Keys(form)) {
			text = append(append(text, name), form[name]...)
		}
		return signs(sha1.New, secret, header("X-Twilio-Signature"), strings.Join(text, ""))
	case SendGrid:
		key, err := publicKey(secret)
		signature, _ := base64.StdEncoding.DecodeString(header("X-Twilio-Email-Event-Webhook-Signature"))
		at := header("X-Twilio-Email-Event-Webhook-Timestamp")
		sum := sha256.Sum256(append([]byte(at), body...))
		return err == nil && ecdsa.VerifyASN1(key, sum[:], signature) && isFresh(parseTime(at))
	case Mailgun:
		text := gjson.GetManyBytes(body, "signature.signature", "signature.timestamp", "signature.token")
		return json.Valid(body) && signs(sha256.New, secret, text[0].String(), text[1].String()+text[2].String()) &&
			isFresh(parseTime(text[1].String()))
	case Sinch:
		const name = "X-Sinch-Webhook-Signature"
		text := string(body) + "." + header(name+"-Nonce") + "." + header(name+"-Timestamp")
		return signs(sha256.New, secret, header(name), text) && isFresh(parseTime(header(name+"-Timestamp")))
	case Vonage:
		return verifyToken(header("Authorization"), secret, body)
	}
	return false
}

// equal compares in a time that tells nothing. Nothing equals no text.
func equal(given, secret string) bool {
	return given != "" && subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}

// signs reports whether a signature, hexadecimal or in base64, is an HMAC over a text.
func signs(algorithm func() hash.Hash, secret, signature, text string) bool {
	mac := hmac.New(algorithm, []byte(secret))
	_, _ = mac.Write([]byte(text)) // a hash never fails
	sum := mac.Sum(nil)
	given, err := hex.DecodeString(signature)
	if err != nil {
		given, err = base64.StdEncoding.DecodeString(signature)
	}
	return err == nil && hmac.Equal(given, sum)
}

func publicKey(text string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		var key crypto.PublicKey
		if key, err = x509.ParsePKIXPublicKey(der); err == nil {
			if ec, ok := key.(*ecdsa.PublicKey); ok {
				return ec, nil
			}
		}
	}
	return nil, errors.New("verify: the secret must be the public key that SendGrid shows: ECDSA, in base64")
}

// verifyToken checks a JSON Web Token of HS256 that is about this body.
func verifyToken(authorization, secret string, body []byte) bool {
	text, _ := strings.CutPrefix(authorization, "Bearer ")
	var says struct {
		jwt.RegisteredClaims
		PayloadHash string `json:"payload_hash"`
	}
	key := func(*jwt.Token) (any, error) { return []byte(secret), nil }
	_, err := jwt.ParseWithClaims(text, &says, key, jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())
	sum := sha256.Sum256(body)
	return err == nil && strings.EqualFold(says.PayloadHash, hex.EncodeToString(sum[:])) &&
		says.IssuedAt != nil && isFresh(says.IssuedAt.Time)
}

// isFresh reports whether something can have been signed at a time: providers repeat a receipt for up to a day, and
// clocks differ.
func isFresh(at time.Time) bool {
	age := time.Since(at)
	return age < 25*time.Hour && age > -5*time.Minute
}
