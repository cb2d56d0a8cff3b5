package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWritten: the chart's files are what this program writes.
func TestWritten(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(made) != len(all()) {
		t.Fatalf("%d files, %v", len(made), err)
	}
	for _, file := range made {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "meddela", "files", "dashboards", filepath.Base(file)))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not up to date: run go run ./charts/dashboards (%v)", filepath.Base(file), err)
		}
	}
}
