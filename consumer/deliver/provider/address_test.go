package provider

import (
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

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
		{topology.Email, " kim@example.com", invalid},
		{topology.Email, "kim@example.com\n", invalid},
		{topology.Email, "kim\x00@example.com", invalid},
		{topology.Email, "kim\u202e@example.com", invalid},
		{topology.Email, "kim\u00a0x@example.com", invalid},
		{topology.Email, "kim\u2028@example.com", invalid},
		{topology.Email, "kim\xff@example.com", invalid},
		{topology.Email, "Kim <kim@example.com>", invalid},
		{topology.Email, "kim@example.com,all@example.com", invalid},
		{topology.Email, `"kim"@example.com`, invalid},
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
		if got := AddressFault(test.channel, test.to); got != test.want {
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
