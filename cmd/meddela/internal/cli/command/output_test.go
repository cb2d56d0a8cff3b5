package command

import (
	"strings"
	"testing"
)

// TestTablesDoNotSteerTheTerminal: whatever a topic brings into a cell, colours are all
// that reaches the terminal beside text.
func TestTablesDoNotSteerTheTerminal(t *testing.T) {
	var out strings.Builder
	env := &Env{Out: &out}
	table := NewTable("type")
	for _, cell := range []string{
		"\x1b]0;x\x07a", "\x1b[2Jb", "\x1b[31mc\x1b[0m", "\u009b2Jd", "e\x1b", "\x1b\x1b[31", "f\u202eg", "\x08",
	} {
		table.AppendRow([]any{cell})
	}
	if err := env.PrintTable(table); err != nil {
		t.Fatal(err)
	}
	got := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "").Replace(out.String())
	if strings.ContainsAny(got, "\x1b\x07\x08\u009b\u202e") {
		t.Errorf("%q", out.String())
	}
	for _, text := range []string{"a", "b", "\x1b[31mc\x1b[0m", "d", "e", "f", "g"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("no %q in %q", text, out.String())
		}
	}
}
