package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
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

// contents are the layers of an image, what changes least first, and its bill of materials.
func contents(o options, b binary) (parts []part, bill []byte) {
	text := must(os.ReadFile(b.path))
	bill = billOf(o, b, text)
	authorities, n := certificates()
	passwd := "root:x:0:0:root:/:/none\n%s:x:%d:%d:%s:/tmp:/none\n"
	base := []entry{
		{"etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\n%s:x:%d:\n", program, user)},
		{"etc/passwd", 0o644, fmt.Appendf(nil, passwd, program, user, user, program)},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities},
		{"tmp", 0o1777, nil},
	}
	if o.licence != "" {
		base = append(base, entry{"usr/share/doc/" + program + "/LICENSE", 0o644, must(os.ReadFile(o.licence))})
	}
	return []part{
		{fmt.Sprintf("user %d, /tmp, %d authorities' certificates", user, n), base},
		{"/" + program + " " + o.version, []entry{{program, 0o755, text}}},
		{"bill of materials", []entry{{"usr/share/sbom/" + program + ".cdx.json", 0o644, bill}}},
	}, bill
}

// certificates are those of the authorities that Mozilla trusts, as PEM. Some it trusts within limits only, which PEM
// cannot say: those are left out.
func certificates() (text []byte, n int) {
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
			n++
		}
	}
	return text, n
}

// archive is a layer's tar file: sorted, each folder before what is in it, nothing of the machine that made it.
func archive(entries []entry, at time.Time) []byte {
	all := map[string]entry{}
	for _, e := range entries {
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			all[dir] = entry{name: dir, mode: 0o755}
		}
	}
	for _, e := range entries {
		all[e.name] = e
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: e.mode, Size: int64(len(e.text)), ModTime: at, Format: tar.FormatPAX,
		}
		if e.text == nil {
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		}
		check(w.WriteHeader(h))
		must(w.Write(e.text))
	}
	check(w.Close()) // writes the end, before it is taken
	return out.Bytes()
}

// write writes the entry to a folder. The mode is set apart: creating would take the umask off, and the sticky bit.
func (e entry) write(to string) {
	mode := os.FileMode(e.mode & 0o777)
	if e.mode&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	if e.text == nil {
		check(os.MkdirAll(to, 0o755))
	} else {
		check(os.MkdirAll(path.Dir(to), 0o755))
		check(os.WriteFile(to, e.text, mode))
	}
	check(os.Chmod(to, mode))
}
