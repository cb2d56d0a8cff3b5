package outbound

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The signatures were computed with Python's hmac.
const (
	signedBody  = `{"id":"e-1"}`
	signedAt    = 1764000000
	newSecret   = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // 0123456789abcdef0123456789abcdef
	olderSecret = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=" // fedcba9876543210fedcba9876543210
	byNew       = "4uY7QTsQLWehydteiYiTQp2g7ECw/SKAX+5Mqg5/ci8="
	byOlder     = "2FYDXQAG2zbNwNria6O+vLc74s7LJqgo5S7/jwF0KxM="
)

func TestSign(t *testing.T) {
	s, err := NewSigner(Fixed(newSecret), Fixed(olderSecret))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	s.Sign(h, "n-1", []byte(signedBody), time.Unix(signedAt, 999))
	for name, want := range map[string]string{
		"webhook-id": "n-1", "webhook-timestamp": "1764000000", "webhook-signature": "v1," + byNew + " v1," + byOlder,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// What is signed is taken by a receiver that knows either secret, and nothing
// else is.
func FuzzSign(f *testing.F) {
	f.Add("n-1", signedBody)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, body string) {
		s, err := NewSigner(Fixed(newSecret), Fixed(olderSecret))
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		s.Sign(h, id, []byte(body), time.Now())
		for secret, want := range map[string]bool{newSecret: true, olderSecret: true,
			strings.Replace(newSecret, "MD", "MT", 1): false} {
			receiver, err := webhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify([]byte(body), h); (err == nil) != (want && id != "") {
				t.Errorf("%q of %q: %v", body, id, err)
			}
			if err := receiver.Verify([]byte(body+"x"), h); err == nil {
				t.Error("another body is taken")
			}
		}
	})
}

// TestReplacedSecret: a secret is read again, and one that is none leaves the last in force.
func TestReplacedSecret(t *testing.T) {
	first := secretPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), 32))
	second := secretPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("b"), 32))
	value := first
	replaced, err := NewSigner(func() string { return value })
	if err != nil {
		t.Fatal(err)
	}
	sign := func(s Signer) string {
		h := make(http.Header)
		s.Sign(h, "id", []byte("body"), time.Unix(1e9, 0))
		return h.Get(HeaderSignature)
	}
	for _, now := range []string{first, second, "half of"} {
		want := now
		if value = now; now == "half of" {
			want = second
		}
		fixed, err := NewSigner(Fixed(want))
		if err != nil {
			t.Fatal(err)
		}
		if got := sign(replaced); got != sign(fixed) {
			t.Errorf("with %q it is signed with another secret", now)
		}
	}
}

func TestSignWithoutSecret(t *testing.T) {
	h := http.Header{}
	if (Signer{}).Sign(h, "n-1", []byte("x"), time.Unix(signedAt, 0)); len(h) > 0 {
		t.Errorf("without secrets: %v", h)
	}
	key := base64.StdEncoding.EncodeToString
	for name, secret := range map[string]string{
		"empty": "", "no prefix": key(make([]byte, 32)), "no base64": "whsec_" + strings.Repeat("-", 44),
		"without padding": strings.TrimRight(newSecret, "="),
		"short":           "whsec_" + key(make([]byte, 23)), "long": "whsec_" + key(make([]byte, 65)),
	} {
		_, err := NewSigner(Fixed(newSecret), Fixed(secret))
		if err == nil || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewSigner(Fixed(secret)); !errors.Is(err, errSigningSecret) {
			t.Errorf("%s is taken", name)
		}
	}
	for _, n := range []int{24, 32, 64} {
		if _, err := NewSigner(Fixed("whsec_" + key(make([]byte, n)))); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	type config struct {
		Key    Secret
		hidden Secret
	}
	c := config{Fixed("s3cret"), Fixed("s3cret")}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(encoded), fmt.Sprint(c.Key), fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c, c, c, c), fmt.Sprint(c.hidden),
	} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("the secret is in %s", text)
		}
	}
	if c.Key() != "s3cret" {
		t.Error("it is not the secret")
	}
}
