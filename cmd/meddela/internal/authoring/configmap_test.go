package authoring

import (
	"os"
	"path/filepath"
	"testing"
)

// TestConfigMap: a folder that Kubernetes has mounted, whose files and folders are
// links into a folder with a name of dots and a time, is read like any other.
func TestConfigMap(t *testing.T) {
	samples, err := filepath.Abs("../../samples/templates")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "..2026_11_23"), os.DirFS(samples)); err != nil {
		t.Fatal(err)
	}
	link("..2026_11_23", "..data")
	entries, err := os.ReadDir(samples)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		link(filepath.Join("..data", entry.Name()), entry.Name())
	}
	want, err := Check(os.DirFS(samples))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Check(os.DirFS(dir))
	if err != nil || len(got.Faults) > 0 || len(got.Templates) != len(want.Templates) || len(got.Templates) == 0 {
		t.Fatalf("%d templates of %d, faults %v, %v", len(got.Templates), len(want.Templates), got.Faults, err)
	}
	for i := range got.Templates {
		if got.Templates[i].Record.Version != want.Templates[i].Record.Version {
			t.Errorf("%s differs", got.Templates[i].Record.Name)
		}
	}
}
