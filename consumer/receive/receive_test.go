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
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
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
		"several": {source(), "/ses", "application/json", "[" + one + "," + one + `,{"ref":"x","event":"open"},7]`, 1, 2},
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
			s.Counts()[Count{"ses", "opened"}]+s.Counts()[Count{"ses", "delivered"}] < int64(row.entries) {
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
		"nobody's":       {newSite(t, source()), "/twilio?token=s3cret", good, http.StatusNotFound},
		"unsigned":       {newSite(t, source()), "/ses", good, http.StatusUnauthorized},
		"other's":        {newSite(t, source()), "/ses?token=s3cre", good, http.StatusUnauthorized},
		"no JSON":        {newSite(t, source()), "/ses?token=s3cret", "{", http.StatusBadRequest},
		"deep":           {newSite(t, source()), "/ses?token=s3cret", strings.Repeat("[", 100_000), http.StatusBadRequest},
		"large":          {newSite(t, source()), "/ses?token=s3cret", strings.Repeat(" ", maxBody+1), 413},
		"too many":       {newSite(t, source()), "/ses?token=s3cret", "[" + strings.Repeat("0,", maxReceipts) + "0]", 413},
		"unsigned, huge": {newSite(t, source()), "/ses", strings.Repeat(" ", maxBody+1), http.StatusUnauthorized},
		"no servers":     {away, "/ses?token=s3cret", good, http.StatusServiceUnavailable},
	} {
		if code := post(row.s, row.target, "application/json", row.body); code != row.code {
			t.Errorf("%s: %d", name, code)
		}
		if row.s != away && len(row.s.entries) > 0 {
			t.Errorf("%s: %v", name, row.s.entries)
		}
	}
}

// TestWithoutAddress: where a receipt names no address, the reference may know it; where not, that is told.
func TestWithoutAddress(t *testing.T) {
	for channel, row := range map[topology.Channel]struct{ ref, to, suppressed, told string }{
		topology.SMS: {refOf(topology.SMS, eventID, phone), "", "sms " + phone + " complaint", ""},
		topology.Push: {refOf(topology.Push, eventID, "elsewhere"), "x", "",
			"they do not name the address that their messages went to, and nobody is suppressed"},
		topology.Email: {refTo(kim), "", "", "they do not name the address that their messages went to, and nobody is suppressed"},
	} {
		of := source()
		of.Channel = channel
		s := newSite(t, of)
		body := fmt.Sprintf(`{"ref":%q,"event":"spam","to":%q}`, row.ref, row.to)
		for range 2 {
			if code := post(s, "/ses?token=s3cret", "application/json", body); code != http.StatusOK {
				t.Fatal(code)
			}
		}
		if s.suppressed = slices.Compact(s.suppressed); strings.Join(s.suppressed, "; ") != row.suppressed {
			t.Errorf("%s: suppressed %q", channel, s.suppressed)
		}
		if told := s.log.String(); row.told == "" && told != "" || strings.Count(told, "\n") > 1 ||
			!strings.Contains(told, row.told) {
			t.Errorf("%s: told %q", channel, told)
		}
	}
}

// TestUnknownIsTold: where a description does not fit what the provider sends, the log says what of it, once.
func TestUnknownIsTold(t *testing.T) {
	s := newSite(t, source())
	for range 3 {
		for body, told := range map[string]string{
			`{"reference":"x","event":"open"}`:                         "receipts: they have no reference of ours in $.ref (ref)",
			fmt.Sprintf(`{"ref":%q,"event":"of 2030"}`, refTo(kim)):    "receipts: no rule fits them",
			fmt.Sprintf(`{"ref":"%s@a.b","event":"x"}`, refTo(kim)):    "receipts: no rule fits them",
			fmt.Sprintf(`{"ref":{"a":%q},"event":"open"}`, refTo(kim)): "(ref)",
		} {
			if code := post(s, "/ses?token=s3cret", "application/json", body); code != http.StatusOK ||
				!strings.Contains(s.log.String(), told) {
				t.Errorf("%s: %d, told %s", body, code, &s.log)
			}
		}
	}
	if n := strings.Count(s.log.String(), "\n"); n != 2 {
		t.Errorf("told %d times: %s", n, &s.log)
	}
}

// TestManyAtOnce: thousands of receipts in a body are taken together, and what is said twice is written once.
func TestManyAtOnce(t *testing.T) {
	s := newSite(t, source())
	var all []string
	for i := range 5000 {
		ref := refOf(topology.Email, topology.EventID(fmt.Sprintf("order-%d", i%2500)), kim)
		all = append(all, fmt.Sprintf(`{"ref":%q,"event":"delivery"}`, ref))
	}
	if code := post(s, "/ses?token=s3cret", "application/json", "["+strings.Join(all, ",")+"]"); code != http.StatusOK ||
		len(s.entries) != 2500 {
		t.Errorf("%d, %d entries", code, len(s.entries))
	}
}

// TestSlowSenders: those who send slowly, or not to the end, keep no provider from being heard, nor more memory than is
// theirs.
func TestSlowSenders(t *testing.T) {
	of := source()
	of.Verify = Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}
	s := newSite(t, of)
	var all sync.WaitGroup
	ends := make([]*io.PipeWriter, 5000)
	for i := range ends {
		var body *io.PipeReader
		body, ends[i] = io.Pipe()
		all.Go(func() {
			w := httptest.NewRecorder()
			if s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ses", body)); w.Code != http.StatusServiceUnavailable {
				t.Errorf("an end: %d", w.Code)
			}
		})
		_, _ = ends[i].Write([]byte("{"))
	}
	good := fmt.Sprintf(`{"ref":%q,"event":"open"}`, refTo(kim))
	mac := hmac.New(sha256.New, []byte("x"))
	mac.Write([]byte(good))
	signature := hex.EncodeToString(mac.Sum(nil))
	if code := post(s, "/ses", "application/json", good, "X-Sig", signature); code != http.StatusOK {
		t.Errorf("beside them: %d", code)
	}
	for _, end := range ends {
		_ = end.CloseWithError(io.ErrUnexpectedEOF)
	}
	all.Wait()
	if !s.reading.take(new(reader), mostReading) {
		t.Fatal("what was read is held")
	}
	if code := post(s, "/ses", "application/json", good, "X-Sig", signature); code != http.StatusServiceUnavailable {
		t.Errorf("while too much is being read: %d", code)
	}
	if code := sendTo(t, s, refTo(kim)+"@bounces.example.com", reportOf("failed", "5.1.1", kim, kim)); code != 451 {
		t.Errorf("a bounce then: %d", code)
	}
}

// TestAllRoomTaken: whoever fills all the room that there is for bodies, and then waits, makes room for the provider.
func TestAllRoomTaken(t *testing.T) {
	of := source()
	of.Verify = Verify{Scheme: HMAC, Secret: outbound.Fixed("x"), Header: "X-Sig"}
	s := newSite(t, of)
	server := httptest.NewServer(s)
	defer server.Close()
	for range mostReading / maxBody {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST /ses HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", maxBody,
			strings.Repeat(" ", maxBody/2+1))
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() int64 {
		s.reading.mu.Lock()
		defer s.reading.mu.Unlock()
		return s.reading.left
	}
	for end := time.Now().Add(10 * time.Second); left() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are left", left())
		}
	}
	good := fmt.Sprintf(`{"ref":%q,"event":"open"}`, refTo(kim))
	mac := hmac.New(sha256.New, []byte("x"))
	mac.Write([]byte(good))
	r, _ := http.NewRequest(http.MethodPost, server.URL+"/ses", strings.NewReader(good))
	r.Header.Set("X-Sig", hex.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || left() != maxBody {
		t.Errorf("the provider's: %s, and %d bytes are left", answer.Status, left())
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
	now := fmt.Sprint(time.Now().Unix())
	jwtAt := func(algorithm, at string) string {
		return inURL([]byte(`{"alg":"`+algorithm+`"}`)) + "." +
			inURL([]byte(`{"iat":`+at+`,"payload_hash":"`+inHex(sum[:])+`"}`))
	}
	jwt, none := jwtAt("HS256", now), jwtAt("none", now)
	undated := inURL([]byte(`{"alg":"HS256"}`)) + "." + inURL([]byte(`{"payload_hash":"`+inHex(sum[:])+`"}`))
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
			`{"signature":{"timestamp":"` + now + `","token":"2","signature":"` + over(inHex, "x", now+"2") + `"}}`, nil, true},
		"mailgun, none": {Verify{Scheme: Mailgun, Secret: outbound.Fixed("x")}, "/", `{}`, nil, false},
		"sinch": {Verify{Scheme: Sinch, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"X-Sinch-Webhook-Signature-Nonce", "n", "X-Sinch-Webhook-Signature-Timestamp", now,
				"X-Sinch-Webhook-Signature", over(in64, "x", body+".n."+now)}, true},
		"vonage, without a time": {Verify{Scheme: Vonage, Secret: outbound.Fixed("x")}, "/", body,
			[]string{"Authorization", "Bearer " + undated + "." + over(inURL, "x", undated)}, false},
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

// TestAge: whatever signs a time is refused when that is older than a provider's last repetition, or to come.
func TestAge(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	over := func(text string) []byte {
		mac := hmac.New(sha256.New, []byte("x"))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	in64, inURL := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	for age, passes := range map[time.Duration]bool{0: true, 24 * time.Hour: true, -time.Minute: true,
		26 * time.Hour: false, -10 * time.Minute: false, 3 * 365 * 24 * time.Hour: false} {
		at := fmt.Sprint(time.Now().Add(-age).Unix())
		sum, none := sha256.Sum256([]byte(at+"{}")), sha256.Sum256([]byte("{}"))
		signature, _ := ecdsa.SignASN1(rand.Reader, key, sum[:])
		jwt := inURL([]byte(`{"alg":"HS256"}`)) + "." +
			inURL([]byte(`{"iat":`+at+`,"payload_hash":"`+hex.EncodeToString(none[:])+`"}`))
		for scheme, row := range map[Scheme]struct {
			body    string
			headers http.Header
		}{
			SendGrid: {"{}", http.Header{"X-Twilio-Email-Event-Webhook-Timestamp": {at},
				"X-Twilio-Email-Event-Webhook-Signature": {in64(signature)}}},
			Mailgun: {`{"signature":{"timestamp":"` + at + `","token":"2","signature":"` +
				hex.EncodeToString(over(at+"2")) + `"}}`, nil},
			Sinch: {"{}", http.Header{"X-Sinch-Webhook-Signature-Nonce": {"n"}, "X-Sinch-Webhook-Signature-Timestamp": {at},
				"X-Sinch-Webhook-Signature": {in64(over("{}.n." + at))}}},
			Vonage: {"{}", http.Header{"Authorization": {"Bearer " + jwt + "." + inURL(over(jwt))}}},
		} {
			verify := Verify{Scheme: scheme, Secret: outbound.Fixed("x")}
			if scheme == SendGrid {
				verify.Secret = outbound.Fixed(in64(der))
			}
			if got := verify.passes(&http.Request{Header: row.headers, URL: new(url.URL)}, []byte(row.body)); got != passes {
				t.Errorf("%s, %v old: %v", scheme, age, got)
			}
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
	now := want.Add(time.Hour + 300*time.Millisecond)
	for at, want := range map[time.Time]time.Time{
		want: want.Add(999 * time.Millisecond), want.Add(1): want.Add(1), {}: now,
		now.Truncate(time.Second): now,
		now.Add(time.Minute):      now, now.Add(-oldest - 1): now, parseTime("never"): now,
		parseTime("1e300"): now,
	} {
		if got := plausible(at, now); !got.Equal(want) {
			t.Errorf("%v became %v", at, got)
		}
	}
}
