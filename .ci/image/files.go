package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"path"
	"sort"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	program = "meddela"
	user    = 65532 // by number: Kubernetes can tell that it is not root
)

// entry is a file of an image, or a folder if it has no text.
type entry struct {
	name string // without a slash before it
	mode int64
	text []byte
}

// part is what a layer holds.
type part struct {
	what    string
	entries []entry
}

// contents are the layers of an image, what changes least first, and its bill of
// materials.
func contents(o options, b binary) ([]part, []byte, error) {
	text, err := os.ReadFile(b.path)
	if err != nil {
		return nil, nil, err
	}
	bill, err := billOf(o, b, text)
	if err != nil {
		return nil, nil, err
	}
	authorities, n := certificates()
	base := []entry{
		{"etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\n%s:x:%d:\n", program, user)},
		{"etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0:root:/:/none\n%s:x:%d:%d:%s:/tmp:/none\n", program, user, user,
			program)},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities},
		{"tmp", 0o1777, nil},
	}
	if o.licence != "" {
		licence, err := os.ReadFile(o.licence)
		if err != nil {
			return nil, nil, err
		}
		base = append(base, entry{"usr/share/doc/" + program + "/LICENSE", 0o644, licence})
	}
	return []part{
		{fmt.Sprintf("user %d, /tmp, %d authorities' certificates", user, n), base},
		{"/" + program + " " + o.version, []entry{{program, 0o755, text}}},
		{"bill of materials", []entry{{"usr/share/sbom/" + program + ".cdx.json", 0o644, bill}}},
	}, bill, nil
}

// certificates are those of the authorities that Mozilla trusts, as PEM. Some it
// trusts within limits only, which PEM cannot say: those are left out.
func certificates() (text []byte, n int) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		n++
	}
	return out.Bytes(), n
}

// archive is a layer's tar file: sorted, each folder before what is in it, nothing
// of the machine that made it.
func archive(entries []entry, at time.Time) ([]byte, error) {
	all := map[string]entry{}
	for _, e := range entries {
		all[e.name] = e
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{name: dir, mode: 0o755}
			}
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range names {
		e := all[name]
		if err := w.WriteHeader(e.header(at)); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, err
		}
	}
	err := w.Close() // writes the end, before it is taken
	return out.Bytes(), err
}

func (e entry) header(at time.Time) *tar.Header {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.text)), ModTime: at,
		Format: tar.FormatPAX}
	if e.text == nil {
		h.Typeflag, h.Name = tar.TypeDir, e.name+"/"
	}
	return h
}

// write writes the entry to a folder. The mode is set apart: creating would take
// the umask off, and the sticky bit.
func (e entry) write(to string) error {
	if err := os.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(e.mode & 0o777)
	if e.mode&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	if e.text == nil {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		return os.Chmod(to, mode)
	}
	if err := os.WriteFile(to, e.text, mode); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}
