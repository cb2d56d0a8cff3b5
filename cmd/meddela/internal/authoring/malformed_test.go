package authoring_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
)

var update = flag.Bool("update", false, "write the golden files anew")

const malformed = "testdata/malformed"

// TestMalformed holds each message against a golden file, so that a message is
// changed by somebody who reads it.
func TestMalformed(t *testing.T) {
	var b strings.Builder
	entries, err := os.ReadDir(malformed)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		report, err := authoring.Check(os.DirFS(filepath.Join(malformed, entry.Name())))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", entry.Name())
		for _, f := range report.Faults {
			fmt.Fprintf(&b, "    %v\n", f)
		}
		if entry.Name() == "warnings" {
			for _, f := range report.Warnings {
				fmt.Fprintf(&b, "    %v\n", f)
			}
		}
		accepted := entry.Name() == "warnings" || strings.HasPrefix(entry.Name(), "accepted_")
		if accepted != (len(report.Faults) == 0) {
			t.Errorf("%s: %d faults", entry.Name(), len(report.Faults))
		}
		for _, f := range slices.Concat(report.Faults, report.Warnings) {
			wantActionable(t, entry.Name(), f)
		}
	}
	const file = "testdata/malformed.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", file, b.String())
	}
}

// jargon is what only who wrote the libraries would understand. What the parsers
// of templates and conditions say is told in their own words.
var jargon = regexp.MustCompile(`state[A-Z]|0x[0-9a-f]+|%!|<nil>|unmarshal`)

// wantActionable wants a message to name a file that is there, or should be,
// and what to do.
func wantActionable(t *testing.T, name string, f faults.Fault) {
	t.Helper()
	if found := jargon.FindString(f.Detail); found != "" {
		t.Errorf("%s: %v: has %q", name, f, found)
	}
	if !strings.Contains(f.Detail, ": ") {
		t.Errorf("%s: %v: does not say what to do", name, f)
	}
	if f.File == "" || strings.HasPrefix(f.File, "/") {
		t.Errorf("%s: %v: file %q", name, f, f.File)
	}
}

// TestFoldersAreBounded in files and in bytes, and read no further.
func TestFoldersAreBounded(t *testing.T) {
	for _, test := range []struct {
		files, bytes int
		bounded      bool
	}{{1000, 1, false}, {1200, 1, true}, {32, 512 << 10, false}, {40, 512 << 10, true}} {
		files := map[string]string{}
		for i := range test.files {
			files[fmt.Sprintf("_partials/p%d.txt", i)] = strings.Repeat("x", test.bytes)
		}
		report, err := authoring.Check(folder(files))
		const want = "_partials: has more than 1000 files or 16777216 bytes: remove what is not needed"
		bounded := len(report.Faults) == 1 && report.Faults[0].Error() == want
		if err != nil || bounded != test.bounded || !bounded && len(report.Faults) > 0 {
			t.Errorf("%d files of %d bytes: %v, %v", test.files, test.bytes, report.Faults, err)
		}
	}
}

func TestTooLargeToRead(t *testing.T) {
	report, err := authoring.Check(folder(map[string]string{"a/template.yaml": "types: a\nchannel: sms\n",
		"a/en/sms.txt": strings.Repeat("x", 600<<10)}))
	if err != nil || len(report.Faults) != 1 ||
		report.Faults[0].Error() != "a/en/sms.txt: is larger than 524288 bytes: make it smaller" {
		t.Errorf("%v, %v", report.Faults, err)
	}
}
