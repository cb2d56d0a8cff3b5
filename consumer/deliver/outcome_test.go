package deliver

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meddela/meddela/topology"
)

func FuzzField(f *testing.F) {
	f.Add("a\tb\nc\x7f")
	f.Add(strings.Repeat("å", 300))
	hasControl := func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) }
	f.Fuzz(func(t *testing.T, text string) {
		got := field(text)
		if hasControl(got) || len(got) > 3*topology.MaxDetailBytes || field(got) != field(field(got)) {
			t.Errorf("%q became %q", text, got)
		}
		if len(text) <= topology.MaxDetailBytes && utf8.ValidString(text) && !hasControl(text) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
