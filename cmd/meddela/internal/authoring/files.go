package authoring

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"unicode/utf8"

	"github.com/meddela/meddela/cmd/meddela/internal/faults"
)

// maxFileBytes is the greatest size of a file that is read.
const maxFileBytes = 512 << 10

// files reads files, and keeps what is wrong with them.
type files struct {
	folder fs.FS
	faults faults.List
}

// read returns a file's text: UTF-8 without a byte order mark, its lines ended
// by LF alone, so that a template is the same wherever git has checked it out.
func (f *files) read(name string) (string, bool) {
	info, err := fs.Stat(f.folder, name)
	var text []byte
	if err == nil {
		if info.Size() > maxFileBytes {
			f.faults.Add(name, 0, "is larger than "+strconv.Itoa(maxFileBytes)+" bytes: make it smaller")
			return "", false
		}
		text, err = fs.ReadFile(f.folder, name)
	}
	switch {
	case err != nil:
		f.faults.Add(name, 0, "cannot be read: "+cause(err))
		return "", false
	case !utf8.Valid(text):
		f.faults.Add(name, 0, "is not UTF-8: save it as UTF-8")
		return "", false
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	return string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))), true
}

// texts returns the texts of all files in a folder, by their names.
func (f *files) texts(folder string) map[string]string {
	entries, err := readDir(f.folder, folder)
	if err != nil {
		f.faults.Add(folder, 0, "cannot be read: "+cause(err))
	}
	texts := make(map[string]string, len(entries))
	for _, entry := range entries {
		file := path.Join(folder, entry.Name())
		switch {
		case ignored(entry.Name()):
		case entry.IsDir():
			f.faults.Add(file, 0, "is a folder, where only files are looked for: move its files up")
		default:
			if text, ok := f.read(file); ok {
				texts[entry.Name()] = text
			}
		}
	}
	return texts
}

// readPartials reads the shared pieces; there need not be any.
func (f *files) readPartials() map[string]string {
	if _, err := fs.Stat(f.folder, partialsFolder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	partials := f.texts(partialsFolder)
	for name := range partials {
		switch path.Ext(name) {
		case ".txt", ".html", ".json":
		default:
			f.faults.Add(path.Join(partialsFolder, name), 0,
				"must end in .txt, .html or .json, which says where it may be included: rename it")
		}
	}
	return partials
}

// cause is an error of the file system without the path, which is said anyway.
func cause(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// readDir lists a folder, without what begins with a dot. Links count as what they
// lead to: a ConfigMap's files and folders are links.
func readDir(folder fs.FS, name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(folder, name)
	if err != nil {
		return nil, err
	}
	entries := all[:0]
	for _, entry := range all {
		switch {
		case entry.Name()[0] == '.':
			continue
		case entry.Type()&fs.ModeSymlink != 0:
			info, err := fs.Stat(folder, path.Join(name, entry.Name()))
			if err != nil {
				return nil, err
			}
			entry = linked{fs.FileInfoToDirEntry(info), entry.Name()}
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// linked is what a link of that name leads to.
type linked struct {
	fs.DirEntry
	name string
}

func (l linked) Name() string { return l.name }
