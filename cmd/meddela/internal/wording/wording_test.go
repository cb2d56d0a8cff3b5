package wording

import "testing"

// TestPrintable: nothing that upstream wrote steers the terminal.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"order 7 är på väg": "order 7 är på väg",
		"a\x1b[2Jb":         "a\uFFFD[2Jb",
		"a\u202Egnp.exe":    "a\uFFFDgnp.exe",
		"a\nb\tc":           "a\uFFFDb\uFFFDc",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := PrintableLines("a\nb\tc\u2066d"); got != "a\nb\tc\uFFFDd" {
		t.Errorf("lines are shown as %q", got)
	}
}
