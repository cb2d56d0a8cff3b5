package suppress_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func TestNormalize(t *testing.T) {
	const email, sms, push = topology.Email, topology.SMS, topology.Push
	for _, test := range []struct {
		channel       topology.Channel
		address, want string // empty is no address
	}{
		{email, "kim@example.com", "kim@example.com"},
		{email, "Kim.Berg+News@Example.COM", "kim.berg+news@example.com"},
		{email, "o'neil@example.com", "o'neil@example.com"},
		{email, "åsa@example.com", "åsa@example.com"},
		{email, "a\u030asa@example.com", "åsa@example.com"}, // a and a ring
		{email, "ÅSA@Räksmörgås.SE", "åsa@xn--rksmrgs-5wao1o.se"},
		{email, "åsa@xn--rksmrgs-5wao1o.se", "åsa@xn--rksmrgs-5wao1o.se"},
		{email, "", ""}, {email, "kim", ""}, {email, "@example.com", ""}, {email, "kim@", ""},
		{email, "Kim <kim@example.com>", ""}, {email, "<kim@example.com>", ""}, {email, "mailto:kim@example.com", ""},
		{email, "a@example.com,b@example.com", ""}, {email, "a b@example.com", ""}, {email, "kim@example.com\n", ""},
		{email, "å b@example.com", ""}, {email, "å\x00@example.com", ""}, {email, "å\xff@example.com", ""},
		{email, strings.Repeat("k", 243) + "@example.com", ""},
		{sms, "+46701234567", "+46701234567"},
		{sms, "+46 (0)70-123 45 67", "+46701234567"},
		{sms, "0046 70 123 45 67", "+46701234567"},
		{sms, "00 46-70.123/4567", "+46701234567"},
		{sms, "070-123 45 67", "0701234567"},
		{sms, "(070) 1234567", "0701234567"},
		{sms, "(0)70 1234567", "0701234567"},
		{sms, "112", "112"},
		{sms, "", ""}, {sms, "+", ""}, {sms, "12", ""}, {sms, "4670x", ""}, {sms, "46+70123", ""}, {sms, "++4670123", ""}, {sms, "00+4670123", ""},
		{sms, strings.Repeat("1", 33), ""},
		{push, "fGx:APA91-aB", "fGx:APA91-aB"},
		{push, "", ""}, {push, "a b", ""}, {push, "å", ""}, {push, strings.Repeat("x", 4097), ""},
		{topology.Webhook, "https://example.com", ""},
		{"pigeon", "kim@example.com", ""},
	} {
		got, ok := suppress.Normalize(test.channel, test.address)
		if ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s %q becomes %q, %v; want %q", test.channel, test.address, got, ok, test.want)
		}
	}
}

var genAddress = rapid.OneOf(
	rapid.String(),
	rapid.StringMatching(`[A-Za-zÅÄÖßẞİıſKå.+'-]{1,20}@[A-Za-zÅÄÖßẞİıſKå.-]{1,20}`),
	rapid.StringMatching(`[+0-9 ()./-]{1,24}`),
)

// TestNormalizeOnce: what is normal stays as it is.
func TestNormalizeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channel := rapid.SampledFrom(suppress.Channels()).Draw(t, "channel")
		normal, ok := suppress.Normalize(channel, genAddress.Draw(t, "address"))
		if !ok || len(normal) > topology.MaxEmailLength {
			return // letters may get longer than they may be
		}
		if again, ok := suppress.Normalize(channel, normal); !ok || again != normal {
			t.Fatalf("%q becomes %q, %v", normal, again, ok)
		}
	})
}

// TestWritingDoesNotMatter: neither case nor separators make another address.
func TestWritingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		email := rapid.StringMatching(`[a-z0-9.+]{1,20}@[a-z0-9.-]{1,20}`).Draw(t, "email")
		a, okA := suppress.Normalize(topology.Email, email)
		b, okB := suppress.Normalize(topology.Email, strings.ToUpper(email))
		if !okA || !okB || a != b {
			t.Fatalf("%q and its capitals become %q and %q", email, a, b)
		}
		digits := rapid.StringMatching(`[1-9][0-9]{3,12}`).Draw(t, "digits")
		plain, _ := suppress.Normalize(topology.SMS, "+"+digits)
		for _, other := range []string{"00" + digits, "+" + digits[:2] + "(0)" + digits[2:], "+" + strings.Join(strings.Split(digits, ""), " ")} {
			if len(other) > topology.MaxPhoneLength {
				continue
			}
			if got, ok := suppress.Normalize(topology.SMS, other); !ok || got != plain {
				t.Fatalf("%q becomes %q, %v; want %q", other, got, ok, plain)
			}
		}
	})
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"Kim@Example.com", "+46 (0)70-123 45 67", "å@ä.se", "\xff@\xfe", "00(0)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for _, channel := range topology.Channels() {
			normal, ok := suppress.Normalize(channel, address)
			if ok == (normal == "") {
				t.Errorf("%s %q becomes %q, %v", channel, address, normal, ok)
			}
		}
	})
}

func TestHash(t *testing.T) {
	a, b, none := suppress.NewHasher("pepper"), suppress.NewHasher("other"), suppress.NewHasher("")
	// So that no later version hashes otherwise: every address would be lost.
	if got := a.Hash("kim@example.com"); got != "e055959d00227e0a24d8b73bc5452a6d" {
		t.Errorf("the hash is %s", got)
	}
	if got := none.Hash("kim@example.com"); got != "339ddf2e8137246f604b58d371b67a01" {
		t.Errorf("the hash without a pepper is %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y := rapid.String().Draw(t, "x"), rapid.String().Draw(t, "y")
		hash := a.Hash(x)
		if len(hash) != 32 || strings.Trim(string(hash), "0123456789abcdef") != "" {
			t.Fatalf("the hash of %q is %q", x, hash)
		}
		if suppress.NewHasher("pepper").Hash(x) != hash || hash == b.Hash(x) || hash == none.Hash(x) || (a.Hash(y) == hash) != (x == y) {
			t.Fatalf("hashes of %q and %q", x, y)
		}
	})
	if a.Fingerprint() == b.Fingerprint() || a.Fingerprint() != suppress.NewHasher("pepper").Fingerprint() {
		t.Error("fingerprints do not tell peppers apart")
	}
}
