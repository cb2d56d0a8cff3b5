package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// made is an image of this test's own binary, which is a Go program like any.
func made(t *testing.T, platforms ...string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{"-version", "1.2.3", "-revision", "abc", "-licence", "../../LICENSE", "-output", folder}
	for _, platform := range platforms {
		arguments = append(arguments, platform+"="+self)
	}
	if err := run(arguments); err != nil {
		t.Fatal(err)
	}
	return folder
}

func index(t *testing.T, folder string) v1.ImageIndex {
	t.Helper()
	i, err := layout.ImageIndexFromPath(filepath.Join(folder, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestImageIsValidAndSaysWhatItIs(t *testing.T) {
	folder := made(t, "linux/amd64")
	all := index(t, folder)
	if err := validate.Index(all); err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := all.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config; got.User != "65532:65532" || len(got.Entrypoint) != 1 || got.Entrypoint[0] != "/meddela" ||
		got.Labels["org.opencontainers.image.version"] != "1.2.3" ||
		got.Labels["org.opencontainers.image.revision"] != "abc" {
		t.Errorf("config is %+v", got)
	}
	files := filesOf(t, mutate.Extract(image))
	for name, mode := range map[string]int64{"tmp": 0o1777, "etc/passwd": 0o644, "etc/group": 0o644, "meddela": 0o755,
		"etc/ssl/certs/ca-certificates.crt": 0o644, "usr/share/sbom/meddela.cdx.json": 0o644,
		"usr/share/doc/meddela/LICENSE": 0o644} {
		h, ok := files[name]
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		if h.Mode != mode || h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s has mode %o, owner %d:%d, time %v", name, h.Mode, h.Uid, h.Gid, h.ModTime)
		}
	}
}

// filesOf reads a tar file up to its end, which must be there.
func filesOf(t *testing.T, from io.ReadCloser) map[string]*tar.Header {
	t.Helper()
	defer func() { _ = from.Close() }()
	all := map[string]*tar.Header{}
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(h.Name, "/")] = h
	}
}

func TestTheSameGivesTheSame(t *testing.T) {
	one, other := made(t, "linux/amd64", "linux/arm64"), made(t, "linux/amd64", "linux/arm64")
	for _, name := range []string{"meddela.tar", "digest", "meddela-linux-amd64.cdx.json"} {
		if a, b := read(t, one, name), read(t, other, name); !bytes.Equal(a, b) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestAnIndexHasEachPlatform(t *testing.T) {
	all := index(t, made(t, "linux/amd64", "linux/arm64"))
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	within, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(within); err != nil {
		t.Error(err)
	}
	listed, err := within.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range listed.Manifests {
		got = append(got, m.Platform.String())
	}
	if strings.Join(got, " ") != "linux/amd64 linux/arm64" {
		t.Errorf("platforms are %v", got)
	}
}

// An archive without its two empty blocks is one that some programs refuse.
func TestArchivesHaveTheirEnd(t *testing.T) {
	text := archive([]entry{{"a/b", 0o644, []byte("c")}}, time.Unix(0, 0))
	if len(text) < 1024 || !bytes.Equal(text[len(text)-1024:], make([]byte, 1024)) {
		t.Error("the end is missing")
	}
}

func TestCertificates(t *testing.T) {
	text, n := certificates()
	if pool := x509.NewCertPool(); n < 80 || !pool.AppendCertsFromPEM(text) {
		t.Errorf("%d certificates, or no PEM", n)
	}
}

func TestBillNamesEveryModule(t *testing.T) {
	folder := made(t, "linux/amd64")
	var bill struct {
		SpecVersion string
		Metadata    struct{ Component struct{ Version string } }
		Components  []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(read(t, folder, "meddela-linux-amd64.cdx.json"), &bill); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, c := range bill.Components {
		names[c.Name] = c.Version
		if c.Purl != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s has purl %s", c.Name, c.Purl)
		}
	}
	for _, name := range []string{"std", "github.com/google/go-containerregistry", authoritiesModule} {
		if names[name] == "" {
			t.Errorf("%s is not in the bill: %v", name, names)
		}
	}
	if bill.SpecVersion != "1.6" || bill.Metadata.Component.Version != "1.2.3" {
		t.Errorf("bill is %s of %s", bill.SpecVersion, bill.Metadata.Component.Version)
	}
}

// The files for another builder are those of the image.
func TestRoot(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := run([]string{"-root", root, "linux/amd64=" + self}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode()&os.ModeSticky == 0 || info.Mode().Perm() != 0o777 {
		t.Errorf("/tmp is %v", info.Mode())
	}
}

func TestFaultsAreTold(t *testing.T) {
	for _, arguments := range [][]string{
		{}, {"-output", "x"}, {"-output", "x", "-root", "y", "linux/amd64=z"}, {"-output", t.TempDir(), "linux/amd64"},
		{"-output", t.TempDir(), "linux/amd64=/nowhere"}, {"-root", t.TempDir(), "linux/amd64=main.go"},
	} {
		if run(arguments) == nil {
			t.Errorf("%v is no fault", arguments)
		}
	}
}

func read(t *testing.T, folder, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
