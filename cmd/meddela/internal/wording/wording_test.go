package wording

import (
	"testing"
	"time"
)

// TestMoment: an operator's clock does not change what a table says.
func TestMoment(t *testing.T) {
	at := time.Date(2026, 12, 1, 0, 30, 0, 0, time.FixedZone("", 2*60*60))
	if got := Moment(at); got != "2026-11-30 22:30:00Z" {
		t.Errorf("the time is %s", got)
	}
}

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
