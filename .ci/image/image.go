package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeImages writes what was asked for, and says what it is.
func writeImages(o options) {
	folder := filepath.Join(o.output, "oci")
	check(os.RemoveAll(folder))
	check(os.MkdirAll(o.output, 0o755))
	var images []v1.Image
	for _, b := range o.binaries {
		parts, bill := contents(o, b)
		images = append(images, imageOf(o, b.platform, parts))
		name := fmt.Sprintf("%s-%s-%s.cdx.json", program, b.platform.OS, b.platform.Architecture)
		check(os.WriteFile(filepath.Join(o.output, name), bill, 0o644))
	}
	digest := writeLayout(o, folder, images)
	addManifest(o, folder, images[0])
	file, packed := filepath.Join(o.output, program+".tar"), pack(folder, o.created)
	check(os.WriteFile(file, packed, 0o644))
	check(os.WriteFile(filepath.Join(o.output, "digest"), []byte(digest.String()+"\n"), 0o644))
	fmt.Printf("%s:%s@%s\n%s: %s\n", o.name, o.version, digest, file, megabytes(len(packed)))
}

// imageOf makes the image of a platform, and says what it is: its digest, and each layer compressed and not.
func imageOf(o options, platform v1.Platform, parts []part) v1.Image {
	const line = "  %-52s %9s of %9s\n"
	made := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var said []byte
	var compressed, plain int
	for _, p := range parts {
		text := archive(p.entries, o.created)
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		layer := must(tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression),
			tarball.WithMediaType(types.OCILayer)))
		made = must(mutate.Append(made, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: p.what},
		}))
		size := int(must(layer.Size()))
		compressed, plain = compressed+size, plain+len(text)
		said = fmt.Appendf(said, line, p.what, megabytes(size), megabytes(len(text)))
	}
	config := must(made.ConfigFile()).DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: o.created}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + program},
		User:       fmt.Sprintf("%d:%d", user, user),
		WorkingDir: "/",
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Labels:     labels(o),
	}
	made = mutate.Annotations(must(mutate.ConfigFile(made, config)), labels(o)).(v1.Image)
	fmt.Printf("%s %s\n%s"+line, platform, must(made.Digest()), said,
		"compressed, of", megabytes(compressed), megabytes(plain))
	return made
}

func labels(o options) map[string]string {
	const of = "org.opencontainers.image."
	all := map[string]string{
		of + "title":         program,
		of + "description":   "A message centre on Kafka and Redis",
		of + "url":           home,
		of + "source":        home,
		of + "documentation": home,
		of + "licenses":      "Apache-2.0",
		of + "vendor":        "meddela maintainers",
		of + "version":       o.version,
		of + "created":       o.created.Format(time.RFC3339),
	}
	if o.revision != "" {
		all[of+"revision"] = o.revision
	}
	return all
}

// writeLayout writes an OCI layout: one image, or an index of one for each platform. The digest is that of what the tag
// stands for.
func writeLayout(o options, folder string, images []v1.Image) v1.Hash {
	path := must(layout.Write(folder, empty.Index))
	named := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": o.version,
		"io.containerd.image.name":          o.name + ":" + o.version,
	})
	if len(images) == 1 {
		check(path.AppendImage(images[0], named, layout.WithPlatform(o.binaries[0].platform)))
		return must(images[0].Digest())
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, each := range images {
		platform := v1.Descriptor{Platform: &o.binaries[i].platform}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: each, Descriptor: platform})
	}
	index = mutate.Annotations(index, labels(o)).(v1.ImageIndex)
	check(path.AppendIndex(index, named))
	return must(index.Digest())
}

// addManifest lets older `docker load` read the same blobs.
func addManifest(o options, folder string, of v1.Image) {
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	manifest := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: blob(must(of.ConfigName())), RepoTags: []string{o.name + ":" + o.version}}
	for _, layer := range must(of.Layers()) {
		manifest.Layers = append(manifest.Layers, blob(must(layer.Digest())))
	}
	check(os.WriteFile(filepath.Join(folder, "manifest.json"), must(json.Marshal([]any{manifest})), 0o644))
}

// pack makes a tar file of a folder.
func pack(folder string, at time.Time) []byte {
	var entries []entry
	files := os.DirFS(folder)
	check(fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		entries = append(entries, entry{name, 0o644, text})
		return err
	}))
	return archive(entries, at)
}

func megabytes(n int) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
