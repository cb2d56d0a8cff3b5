package command

import (
	"strings"
	"testing"
)

// TestTablesDoNotSteerTheTerminal: whatever a topic brings into a cell, our own colours are
// all that reaches the terminal beside text.
func TestTablesDoNotSteerTheTerminal(t *testing.T) {
	var out strings.Builder
	env := &Env{Out: &out}
	type named string
	table := NewTable("type")
	for _, cell := range []any{Painted("\x1b[31mpainted\x1b[0m"), named("\x1b[8mhidden"), []string{"\x1b[8ma"}, 7, nil} {
		table.AppendRow([]any{cell})
	}
	for _, cell := range []string{
		"\x1b]0;x\x07a", "\x1b[2Jb", "\x1b[31mc\x1b[0m", "\u009b2Jd", "e\x1b", "\x1b\x1b[31", "f\u202eg", "\x08",
	} {
		table.AppendRow([]any{cell})
	}
	if err := env.PrintTable(table); err != nil {
		t.Fatal(err)
	}
	const painted = "\x1b[31mpainted\x1b[0m"
	got := strings.Replace(out.String(), painted, "", 1)
	if strings.ContainsAny(got, "\x1b\x07\x08\u009b\u202e") {
		t.Errorf("%q", out.String())
	}
	for _, text := range []string{"a", "b", "\uFFFD[31mc", "d", "e", "f", "g", painted, "\uFFFD[8mhidden", "7"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("no %q in %q", text, out.String())
		}
	}
}
