package settings

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/build"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func TestVersionInJSON(t *testing.T) {
	got := meddela(t, nil, "", "version", "-o", "json")
	got.Want(t, command.ExitOK)
	var b build.Info
	if err := json.Unmarshal([]byte(got.Out), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version == "" || b.Go != runtime.Version() {
		t.Errorf("printed %s", got.Out)
	}
}
