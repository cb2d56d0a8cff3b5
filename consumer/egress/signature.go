package egress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader holds a request's signature:
//
//	t=<Unix seconds>,v1=<hex>[,v1=<hex>…]
//
// where each v1 is the HMAC-SHA256, by one of the secrets, of the time as it
// stands there, a dot, and the body.
const SignatureHeader = "Meddela-Signature"

// Sign makes a signature by each of the secrets: while one takes another's place
// the receiver may know either.
func Sign(secrets [][]byte, body []byte, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	text := "t=" + at
	for _, secret := range secrets {
		text += ",v1=" + hex.EncodeToString(mac(secret, at, body))
	}
	return text
}

func mac(secret []byte, at string, body []byte) []byte {
	sum := hmac.New(sha256.New, secret)
	sum.Write([]byte(at))
	sum.Write([]byte{'.'})
	sum.Write(body)
	return sum.Sum(nil)
}

// Why a signature does not hold.
var (
	ErrSignatureForm = errors.New("the signature is not of the form t=…,v1=…")
	ErrSignatureTime = errors.New("the signature is too old, or of the future")
	ErrSignature     = errors.New("the signature is by none of the secrets")
)

// Verify tells a receiver whether a body was signed by the holder of the secret,
// not longer ago than tolerance.
func Verify(signature string, secret, body []byte, now time.Time, tolerance time.Duration) error {
	at, by := "", [][]byte{}
	for part := range strings.SplitSeq(signature, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			at = value
		case "v1":
			sum, err := hex.DecodeString(value)
			if err != nil {
				return ErrSignatureForm
			}
			by = append(by, sum)
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || len(by) == 0 {
		return ErrSignatureForm
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignatureTime
	}
	want := mac(secret, at, body)
	for _, sum := range by {
		if hmac.Equal(sum, want) {
			return nil
		}
	}
	return ErrSignature
}
