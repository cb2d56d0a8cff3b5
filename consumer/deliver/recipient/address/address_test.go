package address

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/topology"
)

func TestAddresses(t *testing.T) {
	const missing, invalid, fine = topology.ReasonMissingAddress, topology.ReasonInvalidAddress, topology.NoReason
	for _, test := range []struct {
		channel topology.Channel
		to      string
		want    topology.Reason
	}{
		{topology.Email, "", missing},
		{topology.Email, "kim@example.com", fine},
		{topology.Email, "kim@localhost", fine},
		{topology.Email, "kim.o'hara+shop/x=1@mail.example.co.uk", fine},
		{topology.Email, "kåre@exämple.se", fine},
		{topology.Email, "用户@例子.广告", fine},
		{topology.Email, "a@b@example.com", invalid},
		{topology.Email, "kim", invalid},
		{topology.Email, "@example.com", invalid},
		{topology.Email, "kim@", invalid},
		{topology.Email, ".kim@example.com", invalid},
		{topology.Email, "kim.@example.com", invalid},
		{topology.Email, "k..m@example.com", invalid},
		{topology.Email, "kim@example..com", invalid},
		{topology.Email, "kim@example.com.", invalid},
		{topology.Email, "\u00a0\u200bkim@example.com \ufeff", fine},
		{topology.Email, "\u00a0", missing},
		{topology.Email, "kim@example.com\n", invalid},
		{topology.Email, "kim\x00@example.com", invalid},
		{topology.Email, "kim\u202e@example.com", invalid},
		{topology.Email, "kim\u00a0x@example.com", invalid},
		{topology.Email, "kim\u2028@example.com", invalid},
		{topology.Email, "kim\xff@example.com", invalid},
		{topology.Email, "Kim <kim@example.com>", invalid},
		{topology.Email, "kim@example.com,all@example.com", invalid},
		{topology.Email, `"kim"@example.com`, invalid},
		{topology.Email, `"kim..b."@example.com`, invalid},
		{topology.Email, "kim@[127.0.0.1]", invalid},
		{topology.Email, "kim@exam_ple.com", fine},
		{topology.Email, "kim@exam!ple.com", invalid},
		{topology.Email, strings.Repeat("k", 64) + "@example.com", fine},
		{topology.Email, strings.Repeat("k", 65) + "@example.com", invalid},
		{topology.Email, "kim@" + strings.Repeat("k", 64) + ".com", invalid},
		{topology.Email, "kim@" + strings.Repeat("k.", 127) + "com", invalid},
		{topology.SMS, "", missing},
		{topology.SMS, "+46701234567", fine},
		{topology.SMS, "070-123 45 67", fine},
		{topology.SMS, "(070) 123.45/67", fine},
		{topology.SMS, "12", invalid},
		{topology.SMS, "070+123", invalid},
		{topology.SMS, "+46701234567\r\n", invalid},
		{topology.SMS, "\u202a+46701234567\u202c", fine},
		{topology.SMS, " ", missing},
		{topology.Push, "token\u00a0", fine},
		{topology.SMS, "kim@example.com", invalid},
		{topology.SMS, strings.Repeat("1", 33), invalid},
		{topology.Push, "", missing},
		{topology.Push, "dGhlIHRva2Vu:APA91b-_", fine},
		{topology.Push, "a b", invalid},
		{topology.Push, "a\r\nb", invalid},
		{topology.Push, "tökn", invalid},
		{topology.Push, strings.Repeat("t", 4097), invalid},
		{topology.Webhook, "", fine},
	} {
		if _, got, _ := Read(test.channel, test.to, ""); got != test.want {
			t.Errorf("%s %q: %q, want %q", test.channel, test.to, got, test.want)
		}
	}
}

// FuzzEmail: what is taken is one plain address to a mail library too, and
// cannot end the line that it stands in.
func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"kim@example.com", "k.å@exämple.se", `"a b"@c`, "a@b>", "a@b\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, to string) {
		if !ValidEmail(to) {
			return
		}
		if !utf8.ValidString(to) || strings.ContainsAny(to, " \t\r\n<>,;:\"()[]\\\x00") || strings.Count(to, "@") != 1 {
			t.Errorf("%q was taken", to)
		}
		parsed, err := mail.ParseAddress(to)
		if err != nil || parsed.Address != to || parsed.Name != "" {
			t.Errorf("%q was taken, and is %v, %v", to, parsed, err)
		}
	})
}

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
		{email, "kim..berg@example.com", ""}, {email, "kim@example.com.", ""},
		{email, strings.Repeat("k", 64) + "@" + strings.Repeat("e.", 93) + "com", strings.Repeat("k", 64) + "@" +
			strings.Repeat("e.", 93) + "com"},
		{email, strings.Repeat("k", 64) + "@" + strings.Repeat("e.", 94) + "com", ""},
		{sms, "+46701234567", "+46701234567"},
		{sms, "+46 (0)70-123 45 67", "+46701234567"},
		{sms, "0046 70 123 45 67", "+46701234567"},
		{sms, "00 46-70.123/4567", "+46701234567"},
		{sms, "070-123 45 67", "0701234567"},
		{sms, "(070) 1234567", "0701234567"},
		{sms, "(0)70 1234567", "0701234567"},
		{sms, "112", "112"},
		{sms, "46701234567", "46701234567"},
		{email, "\u200e kim@example.com\u00a0", "kim@example.com"},
		{sms, "", ""}, {sms, "+", ""}, {sms, "12", ""}, {sms, "4670x", ""}, {sms, "46+70123", ""}, {sms, "++4670123", ""},
		{sms, "00+4670123", ""},
		{sms, strings.Repeat("1", 33), ""},
		{push, "fGx:APA91-aB", "fGx:APA91-aB"},
		{push, "", ""}, {push, "a b", ""}, {push, "å", ""}, {push, strings.Repeat("x", 4097), ""},
		{topology.Webhook, "https://example.com", ""},
		{"pigeon", "kim@example.com", ""},
	} {
		got, ok := Normalize(test.channel, test.address, "")
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

// TestOneRule: what may be written to can be suppressed, and the other way round.
func TestOneRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := genAddress.Draw(t, "address")
		for _, channel := range Channels() {
			region := rapid.SampledFrom([]string{"", "SE", "US"}).Draw(t, "region")
			_, wrong, detail := Read(channel, address, region)
			if _, ok := Normalize(channel, address, region); ok != (wrong == topology.NoReason) || ok && detail != "" {
				t.Fatalf("%s %q: has a normal form: %t, and is %q, %s", channel, address, ok, wrong, detail)
			}
		}
	})
}

// TestNormalizeOnce: what is normal stays as it is.
func TestNormalizeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channel := rapid.SampledFrom(Channels()).Draw(t, "channel")
		region := rapid.SampledFrom([]string{"", "SE", "US"}).Draw(t, "region")
		normal, ok := Normalize(channel, genAddress.Draw(t, "address"), region)
		if local, _, _ := strings.Cut(normal, "@"); !ok || len(normal) > topology.MaxEmailLength ||
			len(local) > maxLocalBytes {
			return // letters may get longer than they may be
		}
		if again, ok := Normalize(channel, normal, region); !ok || again != normal {
			t.Fatalf("%q becomes %q, %v", normal, again, ok)
		}
	})
}

// TestWritingDoesNotMatter: neither case nor separators make another address.
func TestWritingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		email := rapid.StringMatching(`[a-z0-9+]{1,10}(\.[a-z0-9+]{1,10})?@[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10})?`).Draw(t,
			"email")
		a, okA := Normalize(topology.Email, email, "")
		b, okB := Normalize(topology.Email, strings.ToUpper(email), "")
		if !okA || !okB || a != b {
			t.Fatalf("%q and its capitals become %q and %q", email, a, b)
		}
		digits := rapid.StringMatching(`467[02369][0-9]{7}`).Draw(t, "digits")
		for _, other := range []string{"+" + digits, "00" + digits, "+" + digits[:2] + "(0)" + digits[2:], digits,
			"0" + digits[2:], "+" + strings.Join(strings.Split(digits, ""), " "),
			"\uff0b" + strings.Join(strings.Split(digits, ""), "\u2011"),
			"\u2068+" + strings.Join(strings.Split(digits, ""), "\u00a0") + "\u2069"} {
			if got, ok := Normalize(topology.SMS, other, "SE"); !ok || got != "+"+digits {
				t.Fatalf("%q becomes %q, %v; want +%s", other, got, ok, digits)
			}
		}
	})
}

// TestDigits: each script's ten are in order, of which every range of Unicode's has a whole number.
func TestDigits(t *testing.T) {
	for _, run := range unicode.Nd.R16 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Errorf("%x", run)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Errorf("%x", run)
		}
	}
}

// TestPhoneNumbers: a provider is given E.164, whoever wrote the number.
func TestPhoneNumbers(t *testing.T) {
	for _, test := range []struct{ to, region, want, detail string }{
		{"0046 (0)70-123 45 67", "", "+46701234567", ""},
		{"0046 (0)70-123 45 67", "US", "+46701234567", ""},
		{"+46 (0)70 123 45 67", "", "+46701234567", ""},
		{"070-123 45 67", "SE", "+46701234567", ""},
		{"46701234567", "SE", "+46701234567", ""},
		{"070-123 45 67", "", "0701234567", ""},
		{"(201) 555-0123", "US", "+12015550123", ""},
		{"011 46 70 123 45 67", "US", "+46701234567", ""},
		{"+39 02 3661 8300", "", "+390236618300", ""},
		{"07700 900123", "GB", "+447700900123", ""},
		{"\u0660\u0667\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "SE", "+46701234567", ""},
		{"\u07c0\u07c7\u07c0\u07c1\u07c2\u07c3\u07c4\u07c5\u07c6\u07c7", "SE", "+46701234567", ""},
		{"+\U0001e954\U0001e956 \U0001d7d5\U0001d7ec \u0967\u0e52\uff13 \U0001d7dc\U0001d7f1 \ua9d6\U0001fbf7", "",
			"+46701234567", ""},
		{"（\uff10\uff17\uff10）\uff11\uff12\uff13\uff0d\uff14\uff15\uff0f\uff16\uff17", "SE", "+46701234567", ""},
		{"\uff0b46\u300070\uff0e1234567", "", "+46701234567", ""},
		{"070-1234567/0709876543", "", "", "too many"}, {"070-1234567/0709876543", "SE", "", "too long"},
		{"+46701234567, +46709876543", "SE", "", "other characters"},
		{"+00 46 70 123 45 67", "", "", "no country"}, {"070-123 45 67 ext. 12", "SE", "", "other characters"},
		{"123456789012345", "", "123456789012345", ""}, {"1234567890123456", "", "", "too many"},
		{"+46\u202a70 123 45 67\u202c", "", "+46701234567", ""},
		{"+46 70\u2013123\u00a045\u202f67", "", "+46701234567", ""},
		{"+46701", "", "", "too short"},
		{"112", "SE", "", "too short"},
		{"555-0123", "US", "", "too short"},
		{"+4670123456789012", "", "", "too long"},
		{"+999701234567", "", "", "no country has the code"},
		{"46701234567.0", "", "46701234567", ""}, {" 46701234567.00\u00a0", "SE", "+46701234567", ""},
		{"+46701234567.0", "", "+46701234567", ""}, {"0046701234567.0", "", "+46701234567", ""},
		{"0701234567.0", "SE", "+46701234567", ""}, {"701234567.0", "SE", "+46701234567", ""},
		{"\uff10\uff17\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff0e\uff10", "SE", "+46701234567", ""},
		{"070.123.45.67", "SE", "+46701234567", ""}, {"0800.000000", "GB", "+44800000000", ""},
		{"46701234567.5", "SE", "", "a fraction"}, {"070-123456.0", "SE", "", "a fraction"},
		{"0.0", "SE", "", "too few"}, {"070.123456.0", "SE", "", "a fraction"}, {"46701234567.", "SE", "+46701234567", ""},
		{"4.6701234567E+10", "SE", "", "other characters"}, {"4,6701234567E+10", "SE", "", "other characters"},
		{"0701234567x12", "SE", "", "other characters"},
		{"tel", "SE", "", "other characters"},
	} {
		got, wrong, detail := Read(topology.SMS, test.to, test.region)
		if got != test.want || (wrong == topology.ReasonInvalidAddress) != (test.want == "") ||
			!strings.Contains(detail, test.detail) || strings.ContainsAny(detail, "0123456789") {
			t.Errorf("%q in %q: %q, %q, %q; want %q, %q", test.to, test.region, got, wrong, detail, test.want, test.detail)
		}
	}
}

func TestIsRegion(t *testing.T) {
	regions := map[string]bool{"SE": true, "US": true, "se": false, "XX": false, "Sweden": false, "46": false}
	for region, want := range regions {
		if IsRegion(region) != want {
			t.Errorf("%s: %v", region, !want)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for name, s := range map[string]struct {
		channel topology.Channel
		to      string
	}{
		"email": {topology.Email, "kim.berg@example.com"}, "number": {topology.SMS, "+46701234567"},
		"national number": {topology.SMS, "070-123 45 67"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Read(s.channel, s.to, "SE")
			}
		})
	}
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"Kim@Example.com", "+46 (0)70-123 45 67", "å@ä.se", "\xff@\xfe", "00(0)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for _, channel := range topology.Channels() {
			normal, ok := Normalize(channel, address, "SE")
			if _, wrong, _ := Read(channel, address, "SE"); ok == (normal == "") ||
				ok != (channel != topology.Webhook && wrong == topology.NoReason) {
				t.Errorf("%s %q becomes %q, %v", channel, address, normal, ok)
			}
		}
	})
}
