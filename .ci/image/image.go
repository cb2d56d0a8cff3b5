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
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeImages writes what was asked for, and says what it is.
func writeImages(o options) error {
	folder := filepath.Join(o.output, "oci")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	var images []v1.Image
	for _, b := range o.binaries {
		made, bill, err := imageOf(o, b)
		if err != nil {
			return err
		}
		images = append(images, made)
		name := fmt.Sprintf("%s-%s-%s.cdx.json", program, b.platform.OS, b.platform.Architecture)
		if err := os.WriteFile(filepath.Join(o.output, name), bill, 0o644); err != nil {
			return err
		}
		if err := describe(b.platform, made); err != nil {
			return err
		}
	}
	digest, err := writeLayout(o, folder, images)
	if err != nil {
		return err
	}
	if err := addManifest(o, folder, images[0]); err != nil {
		return err
	}
	file := filepath.Join(o.output, program+".tar")
	size, err := pack(folder, file, o.created)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.output, "digest"), []byte(digest.String()+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s:%s@%s\n%s: %s\n", o.name, o.version, digest, file, megabytes(size))
	return nil
}

// imageOf is the image of a platform, and its bill of materials.
func imageOf(o options, b binary) (v1.Image, []byte, error) {
	parts, bill, err := contents(o, b)
	if err != nil {
		return nil, nil, err
	}
	made := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, p := range parts {
		layer, err := layerOf(p, o.created)
		if err != nil {
			return nil, nil, err
		}
		made, err = mutate.Append(made, mutate.Addendum{
			Layer:     layer,
			MediaType: types.OCILayer,
			History:   v1.History{Created: v1.Time{Time: o.created}, CreatedBy: p.what},
		})
		if err != nil {
			return nil, nil, err
		}
	}
	config, err := made.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = b.platform.OS, b.platform.Architecture, b.platform.Variant
	config.Created = v1.Time{Time: o.created}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + program},
		User:       fmt.Sprintf("%d:%d", user, user),
		WorkingDir: "/",
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Labels:     labels(o),
	}
	made, err = mutate.ConfigFile(made, config)
	if err != nil {
		return nil, nil, err
	}
	return mutate.Annotations(made, labels(o)).(v1.Image), bill, nil
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

func layerOf(p part, at time.Time) (v1.Layer, error) {
	text, err := archive(p.entries, at)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression),
		tarball.WithMediaType(types.OCILayer))
}

// writeLayout writes an OCI layout: one image, or an index of one for each
// platform. The digest is that of what the tag stands for.
func writeLayout(o options, folder string, images []v1.Image) (v1.Hash, error) {
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	named := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": o.version,
		"io.containerd.image.name":          o.name + ":" + o.version,
	})
	if len(images) == 1 {
		platform := layout.WithPlatform(o.binaries[0].platform)
		if err := path.AppendImage(images[0], named, platform); err != nil {
			return v1.Hash{}, err
		}
		return images[0].Digest()
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, each := range images {
		platform := o.binaries[i].platform
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: each, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	index = mutate.Annotations(index, labels(o)).(v1.ImageIndex)
	if err := path.AppendIndex(index, named); err != nil {
		return v1.Hash{}, err
	}
	return index.Digest()
}

// addManifest lets older `docker load` read the same blobs.
func addManifest(o options, folder string, of v1.Image) error {
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	config, err := of.ConfigName()
	if err != nil {
		return err
	}
	layers, err := of.Layers()
	if err != nil {
		return err
	}
	manifest := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: blob(config), RepoTags: []string{o.name + ":" + o.version}}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		manifest.Layers = append(manifest.Layers, blob(digest))
	}
	text, err := json.Marshal([]any{manifest})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "manifest.json"), text, 0o644)
}

// pack makes a tar file of a folder; WalkDir goes by name.
func pack(folder, file string, at time.Time) (int64, error) {
	var entries []entry
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		entries = append(entries, entry{filepath.ToSlash(name), 0o644, text})
		return err
	})
	if err != nil {
		return 0, err
	}
	text, err := archive(entries, at)
	if err != nil {
		return 0, err
	}
	return int64(len(text)), os.WriteFile(file, text, 0o644)
}

// describe says what an image is: digest, and each layer compressed and not.
func describe(platform v1.Platform, of v1.Image) error {
	digest, err := of.Digest()
	if err != nil {
		return err
	}
	layers, err := of.Layers()
	if err != nil {
		return err
	}
	config, err := of.ConfigFile()
	if err != nil {
		return err
	}
	var lines strings.Builder
	var compressed, plain int64
	for i, layer := range layers {
		small, err := layer.Size()
		if err != nil {
			return err
		}
		r, err := layer.Uncompressed()
		if err != nil {
			return err
		}
		large, err := io.Copy(io.Discard, r)
		if err != nil {
			return err
		}
		compressed, plain = compressed+small, plain+large
		fmt.Fprintf(&lines, "  %-52s %9s of %9s\n", config.History[i].CreatedBy, megabytes(small), megabytes(large))
	}
	fmt.Printf("%s %s\n%s  %-52s %9s of %9s\n", platform, digest, lines.String(), "compressed, of", megabytes(compressed),
		megabytes(plain))
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
