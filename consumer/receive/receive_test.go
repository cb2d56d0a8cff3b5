package receive

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// post has a receiver take a request, and returns the status of its answer.
func post(s *site, target, contentType, body string, headers ...string) int {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func source() Source {
	return Source{
		Provider: "ses", Channel: topology.Email, Verify: token("s3cret"), Ref: "$.ref", Address: "$.to", Code: "$.code",
		At: "$.at", MessageID: "$.id",
		Rules: []Rule{
			{When: map[string]string{"$.event": "delivery"}, Means: Delivered},
			{When: map[string]string{"$.event": "bounce", "$.kind": "hard|permanent"}, Means: Bounced},
			{When: map[string]string{"$.event": "bounce"}, Means: Failed},
			{When: map[string]string{"$.event": "spam"}, Means: Complained},
			{When: map[string]string{"$.event": "unsubscribe"}, Means: Unsubscribed},
			{When: map[string]string{"$.event": "open|click"}, Means: Opened},
			{When: map[string]string{"$.event": "processed"}, Means: Nothing},
		},
	}
}

func TestMeanings(t *testing.T) {
	for _, row := range []struct {
		receipt, entry, suppressed string
	}{
		{`"event":"delivery"`, "sent//delivered", ""},
		{`"event":"Delivery","code":"250 2.0.0"`, "sent//delivered: 250 2.0.0", ""},
		{`"event":"delivery","code":"to kim@example.net"`, "sent//delivered", ""},
		{`"event":"bounce","kind":"permanent","code":"5.1.1"`, "delivery_error/bounced/bounced: 5.1.1", "bounced"},
		{`"event":"bounce","kind":"soft"`, "delivery_error/bounced/failed", ""},
		{`"event":"spam"`, "sent//complained", "complaint"},
		{`"event":"unsubscribe"`, "sent//unsubscribed", "unsubscribed"},
		{`"event":"click"`, "sent//opened", ""},
		{`"event":"processed"`, "", ""},
		{`"event":"of next year"`, "", ""},
	} {
		s := newSite(t, source())
		body := fmt.Sprintf(`{"ref":%q,"to":%q,"id":"m-2",%s}`, refTo(kim), kim, row.receipt)
		if code := post(s, "/receipts/ses?token=s3cret", "application/json", body); code != http.StatusOK {
			t.Fatalf("%s: %d", row.receipt, code)
		}
		got := ""
		for _, e := range s.entries {
			got = fmt.Sprintf("%s/%s/%s", e.Status, e.Reason, e.Detail)
			if e.EventID != eventID || e.Redrives != 1 || e.Attempt != 2 || e.Template != "order@1" || e.Provider != "ses" ||
				e.ProviderMessageID != "m-2" || e.JobID != topology.JobIDOf(eventID, 1) || e.Type != "order_confirmation" ||
				s.topics[0] != "meddela.batch.delivery-log" || s.partition != 7 {
				t.Errorf("%s: %+v on %s/%d", row.receipt, e, s.topics[0], s.partition)
			}
			if before := topology.StateOf(&topology.Entry{EventID: eventID, Redrives: 1, Attempt: 2, Status: topology.Sent,
				At: e.At.Add(-time.Second)}); topology.StateOf(&e).Rank <= before.Rank {
				t.Errorf("%s: it does not outrank that the message was sent", row.receipt)
			}
		}
		want := ""
		if row.suppressed != "" {
			want = "email " + kim + " " + row.suppressed
		}
		if got != row.entry || strings.Join(s.suppressed, ", ") != want {
			t.Errorf("%s: %q and %q, not %q and %q", row.receipt, got, s.suppressed, row.entry, want)
		}
	}
}

// TestWhatIsKnown: a receipt that comes again is not written again, and one whose clock is
// behind still comes after what is known.
func TestWhatIsKnown(t *testing.T) {
	s := newSite(t, source())
	s.state.UpdatedAt = time.Now().Add(time.Minute).Truncate(time.Millisecond)
	body := fmt.Sprintf(`{"ref":%q,"event":"delivery","at":"2026-11-27T20:00:00Z"}`, refTo(kim))
	for range 2 {
		if code := post(s, "/ses?token=s3cret", "application/json", body); code != http.StatusOK {
			t.Fatal(code)
		}
		if len(s.entries) != 1 || !s.entries[0].At.After(s.state.UpdatedAt) {
			t.Errorf("%+v, after %v", s.entries, s.state.UpdatedAt)
		}
		s.state.Detail = "delivered"
	}
}

// TestSuppressedTogether: those of a request are written at once.
func TestSuppressedTogether(t *testing.T) {
	s := newSite(t, source())
	one := func(to, event string) string {
		return fmt.Sprintf(`{"ref":%q,"to":%q,"event":%q}`, refTo(to), to, event)
	}
	all := []string{one(kim, "spam"), one("robin@example.net", "spam"), one("eli@example.net", "unsubscribe")}
	body := "[" + strings.Join(all, ",") + "]"
	if code := post(s, "/ses?token=s3cret", "application/json", body); code != http.StatusOK {
		t.Fatal(code)
	}
	slices.Sort(s.suppressed)
	if got := strings.Join(s.suppressed, "; "); got !=
		"email eli@example.net unsubscribed; email kim@example.net,robin@example.net complaint" {
		t.Error(got)
	}
}

// TestAnothersAddress: who has got a message cannot have another's address suppressed.
func TestAnothersAddress(t *testing.T) {
	s := newSite(t, source())
	body := fmt.Sprintf(`{"ref":%q,"to":"robin@example.net","event":"spam"}`, refTo(kim))
	if code := post(s, "/ses?token=s3cret", "application/json", body); code != http.StatusOK || len(s.suppressed) != 0 {
		t.Errorf("%d, suppressed %q", code, s.suppressed)
	}
}

// TestForms: lists, forms and queries say the same.
func TestForms(t *testing.T) {
	ref := refTo(kim)
	list := source()
	list.Each, list.Ref = "$.events", "$.metadata['ref']"
	query := source()
	query.Ref, query.Rules = "query:ref", []Rule{{When: map[string]string{"query:status": "1"}, Means: Delivered}}
	mixed := source()
	mixed.Ref = "header:X-Ref"
	one := fmt.Sprintf(`{"ref":%q,"event":"open"}`, ref)
	for name, row := range map[string]struct {
		source           Source
		target, as, body string
		entries, unknown int
	}{
		"one":     {source(), "/ses", "application/json; charset=utf-8", one, 1, 0},
		"several": {source(), "/ses", "application/json", "[" + one + "," + one + `,{"ref":"x","event":"open"},7]`, 2, 2},
		"within": {list, "/ses", "application/json",
			fmt.Sprintf(`{"events":[{"metadata":{"ref":%q},"event":"open"}]}`, ref), 1, 0},
		"form":   {source(), "/ses", "application/x-www-form-urlencoded", "event=open&ref=" + ref, 1, 0},
		"query":  {query, "/ses?status=1&ref=" + ref, "", "", 1, 0},
		"header": {mixed, "/ses", "application/json", `{"event":"open"}`, 1, 0},
	} {
		s := newSite(t, row.source)
		code := post(s, row.target, row.as, row.body, "Authorization", "Bearer s3cret", "X-Ref", ref)
		if unknown := s.Counts()[Count{"ses", Unknown}]; code != http.StatusOK || len(s.entries) != row.entries ||
			unknown != int64(row.unknown) ||
			s.Counts()[Count{"ses", "opened"}]+s.Counts()[Count{"ses", "delivered"}] != int64(row.entries) {
			t.Errorf("%s: %d, %d entries, %v", name, code, len(s.entries), s.Counts())
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	away := newSite(t, source())
	away.away = errAway
	good := fmt.Sprintf(`{"ref":%q,"event":"open"}`, refTo(kim))
	for name, row := range map[string]struct {
		s            *site
		target, body string
		code         int
	}{
		"nobody's":   {newSite(t, source()), "/twilio?token=s3cret", good, http.StatusNotFound},
		"unsigned":   {newSite(t, source()), "/ses", good, http.StatusUnauthorized},
		"other's":    {newSite(t, source()), "/ses?token=s3cre", good, http.StatusUnauthorized},
		"no JSON":    {newSite(t, source()), "/ses?token=s3cret", "{", http.StatusBadRequest},
		"deep":       {newSite(t, source()), "/ses?token=s3cret", strings.Repeat("[", 100_000), http.StatusBadRequest},
		"large":      {newSite(t, source()), "/ses?token=s3cret", strings.Repeat(" ", maxBody+1), http.StatusBadRequest},
		"no servers": {away, "/ses?token=s3cret", good, http.StatusServiceUnavailable},
	} {
		if code := post(row.s, row.target, "application/json", row.body); code != row.code {
			t.Errorf("%s: %d", name, code)
		}
		if row.s != away && len(row.s.entries) > 0 {
			t.Errorf("%s: %v", name, row.s.entries)
		}
	}
}

func TestSchemes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	ecdsaOver := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		signature, _ := ecdsa.SignASN1(rand.Reader, key, sum[:])
		return base64.StdEncoding.EncodeToString(signature)
	}
	over := func(encode func([]byte) string, secret, text string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		return encode(mac.Sum(nil))
	}
	in64, inHex, inURL := base64.StdEncoding.EncodeToString, hex.EncodeToString, base64.RawURLEncoding.EncodeToString
	const body = `{"a":"b"}`
	sum := sha256.Sum256([]byte(body))
	jwt := inURL([]byte(`{"alg":"HS256"}`)) + "." + inURL([]byte(`{"payload_hash":"`+inHex(sum[:])+`"}`))
	none := inURL([]byte(`{"alg":"none"}`)) + "." + inURL([]byte(`{"payload_hash":"`+inHex(sum[:])+`"}`))
	now := fmt.Sprint(time.Now().Unix())
	standard := base64.StdEncoding.EncodeToString([]byte(pepper))
	for name, row := range map[string]struct {
		verify  Verify
		target  string
		body    string
		headers []string
		passes  bool
	}{
		"token, bearer": {token("x"), "/", body, []string{"Authorization", "Bearer x"}, true},
		"token, basic":  {token("x"), "/", body, []string{"Authorization", "Basic " + in64([]byte("u:x"))}, true},
		"token, query":  {token("x"), "/?token=x", body, nil, true},
		"token, none":   {token("x"), "/", body, nil, false},
		"token, other":  {token("x"), "/?token=y", body, []string{"Authorization", "Bearer xx"}, false},
		"hmac, hex": {Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}, "/", body,
			[]string{"X-Sig", "sha256=" + over(inHex, "x", body)}, true},
		"hmac, base64": {Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}, "/", body,
			[]string{"X-Sig", over(in64, "x", body)}, true},
		"hmac, other's": {Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}, "/", body,
			[]string{"X-Sig", over(in64, "y", body)}, false},
		"hmac, none": {Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}, "/", body, nil, false},
		"standard": {Verify{Scheme: Standard, Secret: outbound.Fixed("whsec_" + standard)}, "/", body,
			[]string{"Webhook-Id", "1", "Webhook-Timestamp", now,
				"Webhook-Signature", "v1," + over(in64, pepper, "1."+now+"."+body)}, true},
		"standard, old": {Verify{Scheme: Standard, Secret: outbound.Fixed("whsec_" + standard)}, "/", body,
			[]string{"Webhook-Id", "1", "Webhook-Timestamp", "1600000000",
				"Webhook-Signature", "v1," + over(in64, pepper, "1.1600000000."+body)}, false},
		// The example of Twilio's documentation.
		"twilio": {Verify{Scheme: Twilio, Secret: outbound.Fixed("12345"), URL: "https://mycompany.com/myapp.php"},
			"/twilio?foo=1&bar=2",
			"CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212",
			[]string{"X-Twilio-Signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="}, true},
		"twilio, another form": {
			Verify{Scheme: Twilio, Secret: outbound.Fixed("12345"), URL: "https://mycompany.com/myapp.php"},
			"/twilio?foo=1&bar=2", "CallSid=other", []string{"X-Twilio-Signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="}, false},
		"sendgrid": {Verify{Scheme: SendGrid, Secret: outbound.Fixed(in64(der))}, "/", body,
			[]string{"X-Twilio-Email-Event-Webhook-Timestamp", now,
				"X-Twilio-Email-Event-Webhook-Signature", ecdsaOver(now + body)}, true},
		"sendgrid, another body": {Verify{Scheme: SendGrid, Secret: outbound.Fixed(in64(der))}, "/", body + " ",
			[]string{"X-Twilio-Email-Event-Webhook-Timestamp", now,
				"X-Twilio-Email-Event-Webhook-Signature", ecdsaOver(now + body)}, false},
		"mailgun": {Verify{Scheme: Mailgun, Secret: outbound.Fixed("x")}, "/",
			`{"signature":{"timestamp":"1","token":"2","signature":"` + over(inHex, "x", "12") + `"}}`, nil, true},
		"mailgun, none": {Verify{Scheme: Mailgun, Secret: outbound.Fixed("x")}, "/", `{}`, nil, false},
		"sinch": {Verify{Scheme: Sinch, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"X-Sinch-Webhook-Signature-Nonce", "n", "X-Sinch-Webhook-Signature-Timestamp", "1",
				"X-Sinch-Webhook-Signature", over(in64, "x", body+".n.1")}, true},
		"vonage": {Verify{Scheme: Vonage, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"Authorization", "Bearer " + jwt + "." + over(inURL, "x", jwt)}, true},
		"vonage, another body": {Verify{Scheme: Vonage, Secret: outbound.Fixed("x")}, "/", `{}`,
			[]string{"Authorization", "Bearer " + jwt + "." + over(inURL, "x", jwt)}, false},
		"vonage, no algorithm": {Verify{Scheme: Vonage, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"Authorization", "Bearer " + none + "." + over(inURL, "x", none)}, false},
		"vonage, unsigned": {Verify{Scheme: Vonage, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"Authorization", "Bearer " + none + "."}, false},
	} {
		if err := row.verify.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r := httptest.NewRequest(http.MethodPost, row.target, nil)
		for pair := range slices.Chunk(row.headers, 2) {
			r.Header.Set(pair[0], pair[1])
		}
		if passes := row.verify.passes(r, []byte(row.body)); passes != row.passes {
			t.Errorf("%s: %v", name, passes)
		}
	}
}

func TestCheck(t *testing.T) {
	for text, s := range map[string]Source{
		"ref":          {Verify: token("x")},
		"place":        {Verify: token("x"), Ref: "$..a"},
		"query":        {Verify: token("x"), Ref: "header:a b"},
		"no name":      {Verify: token("x"), Ref: "$.a", Rules: []Rule{{When: map[string]string{"query": `type: "1"`}}}},
		"scheme":       {Verify: Verify{Scheme: "pgp", Secret: outbound.Fixed("x")}, Ref: "$.a"},
		"secret":       {Verify: Verify{Scheme: Token}, Ref: "$.a"},
		"empty":        {Verify: token(""), Ref: "$.a"},
		"needs header": {Verify: Verify{Scheme: HMAC, Secret: outbound.Fixed("x")}, Ref: "$.a"},
		"needs url":    {Verify: Verify{Scheme: Twilio, Secret: outbound.Fixed("x")}, Ref: "$.a"},
		"no key":       {Verify: Verify{Scheme: SendGrid, Secret: outbound.Fixed("x")}, Ref: "$.a"},
		"no path":      {Verify: token("x"), Ref: "$.a", Rules: []Rule{{When: map[string]string{"": "x"}}}},
		"each":         {Verify: token("x"), Ref: "$.a", Each: "query:x"},
		"standard":     {Verify: Verify{Scheme: Standard, Secret: outbound.Fixed("whsec_?")}, Ref: "$.a"},
		"rule":         {Verify: token("x"), Ref: "$.a", Rules: []Rule{{When: map[string]string{"$[": "x"}}}},
	} {
		if _, err := New(Config{Sources: []Source{s}}); err == nil {
			t.Errorf("%s: it was taken", text)
		}
	}
}

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC)
	for _, text := range []string{"1795809600", "1795809600.0", "1795809600000", "2026-11-27T21:00:00+01:00",
		"Fri, 27 Nov 2026 20:00:00 +0000"} {
		if at := parseTime(text); !at.Equal(want) {
			t.Errorf("%s: %v", text, at)
		}
	}
	now := want.Add(time.Hour)
	for at, want := range map[time.Time]time.Time{
		want: want.Add(999 * time.Millisecond), want.Add(1): want.Add(1), {}: now,
		now.Add(time.Minute): now, now.Add(-oldest - 1): now, parseTime("never"): now,
		parseTime("1e300"): now,
	} {
		if got := plausible(at, now); !got.Equal(want) {
			t.Errorf("%v became %v", at, got)
		}
	}
}
