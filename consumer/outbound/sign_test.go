package outbound

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The sums were computed with Python's hmac.
const (
	signedBody = `{"id":"e-1"}`
	bySecret   = "9759cea75d0f3745b4e59d192ac7e98192b6da2d17b03e75d24f4ac37271e472"
	byOlder    = "6ba94ecd2bf97d7a7fe151211b462caf67f89b831b4778e8fc1852b176b6a775"
	signedAt   = 1764000000
)

func TestSign(t *testing.T) {
	s, err := NewSigner(Fixed("s3cret"), Fixed("older"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Sign([]byte(signedBody), time.Unix(signedAt, 999))
	if want := fmt.Sprintf("t=%d,v1=%s,v1=%s", signedAt, bySecret, byOlder); got != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestSignWithoutSecret(t *testing.T) {
	for _, secrets := range [][]Secret{nil, {nil}, make([]Secret, 17)} {
		if _, err := NewSigner(secrets...); err == nil {
			t.Errorf("%d secrets are taken", len(secrets))
		}
	}
	s, err := NewSigner(Fixed("s3cret"), Fixed(""))
	if err != nil {
		t.Fatal(err)
	}
	if value, err := s.Sign([]byte("x"), time.Unix(signedAt, 0)); err == nil {
		t.Errorf("%s is signed with an empty secret", value)
	}
}

func TestVerify(t *testing.T) {
	good := fmt.Sprintf("t=%d,v1=%s", signedAt, bySecret)
	at := time.Unix(signedAt, 0)
	for name, c := range map[string]struct {
		header, body string
		now          time.Time
		secrets      []string
		want         error
	}{
		"good":               {good, signedBody, at, []string{"s3cret"}, nil},
		"late in time":       {good, signedBody, at.Add(time.Minute), []string{"s3cret"}, nil},
		"clock behind":       {good, signedBody, at.Add(-time.Minute), []string{"s3cret"}, nil},
		"new and old":        {good, signedBody, at, []string{"new", "s3cret"}, nil},
		"second of two":      {good + ",v1=" + byOlder, signedBody, at, []string{"older"}, nil},
		"unknown version":    {good + ",v2=zz, x", signedBody, at, []string{"s3cret"}, nil},
		"capital hex":        {strings.Replace(good, bySecret, strings.ToUpper(bySecret), 1), signedBody, at, []string{"s3cret"}, nil},
		"too late":           {good, signedBody, at.Add(61 * time.Second), []string{"s3cret"}, ErrSignatureTime},
		"too early":          {good, signedBody, at.Add(-61 * time.Second), []string{"s3cret"}, ErrSignatureTime},
		"wrong secret":       {good, signedBody, at, []string{"S3cret"}, ErrWrongSignature},
		"no secret":          {good, signedBody, at, nil, ErrWrongSignature},
		"empty secret":       {good, signedBody, at, []string{""}, ErrWrongSignature},
		"other body":         {good, signedBody + " ", at, []string{"s3cret"}, ErrWrongSignature},
		"other time":         {strings.Replace(good, "0,", "1,", 1), signedBody, at, []string{"s3cret"}, ErrWrongSignature},
		"time with a plus":   {strings.Replace(good, "t=", "t=+", 1), signedBody, at, []string{"s3cret"}, ErrWrongSignature},
		"two times":          {good + ",t=1", signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"no time":            {"v1=" + bySecret, signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"no number":          {"t=now,v1=" + bySecret, signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"no sum":             {"t=1764000000", signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"short sum":          {"t=1764000000,v1=" + bySecret[2:], signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"empty":              {"", signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"too long a header":  {good + strings.Repeat(",", 5000), signedBody, at, []string{"s3cret"}, ErrNoSignature},
		"year of no calenda": {"t=9223372036854775807,v1=" + bySecret, signedBody, at, []string{"s3cret"}, ErrWrongSignature},
	} {
		if err := Verify(c.header, []byte(c.body), c.now, time.Minute, c.secrets...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// What is signed verifies, and nothing else does.
func FuzzVerify(f *testing.F) {
	f.Add("t=1764000000,v1="+bySecret, signedBody, "s3cret", int64(signedAt))
	f.Add("t=1,v1=", "", "", int64(-1))
	f.Fuzz(func(t *testing.T, header, body, secret string, unix int64) {
		if header != "" && Verify(header, []byte(body), time.Unix(unix, 0), time.Hour, secret) == nil && !strings.Contains(header, bySecret) {
			t.Errorf("%q verifies", header)
		}
		s, err := NewSigner(Fixed(secret))
		if err != nil {
			t.Fatal(err)
		}
		value, err := s.Sign([]byte(body), time.Unix(unix, 0))
		if (err == nil) != (secret != "") {
			t.Fatal(err)
		}
		if secret == "" {
			return
		}
		if err := Verify(value, []byte(body), time.Unix(unix, 0), 0, secret); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		if err := Verify(value, []byte(body+"x"), time.Unix(unix, 0), 0, secret); !errors.Is(err, ErrWrongSignature) {
			t.Errorf("another body: %v", err)
		}
	})
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
	for _, text := range []string{string(encoded), fmt.Sprint(c.Key), fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c, c, c, c), fmt.Sprint(c.hidden)} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("the secret is in %s", text)
		}
	}
	if c.Key() != "s3cret" {
		t.Error("it is not the secret")
	}
}
