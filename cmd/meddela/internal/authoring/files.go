package authoring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxFileBytes = 512 << 10
	// maxFiles and maxFolderBytes bound what is read of one folder: a language's, one of
	// samples, or the partials.
	maxFiles       = 1000
	maxFolderBytes = 16 << 20
)

// read returns a file's text, the same wherever git has checked it out: UTF-8, its lines ended by LF alone.
func (l *loader) read(name string) (text string, ok bool) {
	bytes, err := l.readFile(name)
	switch {
	case err != nil:
		l.unreadable(name, err)
		return "", false
	case len(bytes) > maxFileBytes:
		l.faults.Add(name, 0, "is larger than "+strconv.Itoa(maxFileBytes)+" bytes: make it smaller")
		return "", false
	case !utf8.Valid(bytes):
		l.faults.Add(name, 0, "is not UTF-8: save it as UTF-8")
		return "", false
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(bytes), "\ufeff"), "\r\n", "\n"), true
}

// readFile reads a little more than a file may have.
func (l *loader) readFile(name string) ([]byte, error) {
	info, err := fs.Stat(l.folder, name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return nil, err
	}
	file, err := l.folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxFileBytes+1))
}

// texts returns the texts of all files in a folder, by their names.
func (l *loader) texts(folder string) map[string]string {
	entries, err := l.readDir(folder)
	if err != nil {
		l.unreadable(folder, err)
	}
	texts, bytes := make(map[string]string), 0
	for _, entry := range entries {
		if len(texts) > maxFiles || bytes > maxFolderBytes {
			l.faults.Add(folder, 0, fmt.Sprintf("has more than %d files or %d bytes: remove what is not needed", maxFiles,
				maxFolderBytes))
			break
		}
		file := path.Join(folder, entry.Name())
		switch {
		case ignored(entry.Name()):
		case entry.IsDir():
			l.faults.Add(file, 0, "is a folder, where only files are looked for: move its files up")
		default:
			if text, ok := l.read(file); ok {
				texts[entry.Name()] = text
				bytes += len(text)
			}
		}
	}
	return texts
}

func (l *loader) readPartials() {
	if _, err := fs.Stat(l.folder, partialsFolder); errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.partials = l.texts(partialsFolder)
	for name := range l.partials {
		if !slices.Contains([]string{".txt", ".html", ".json"}, path.Ext(name)) {
			l.faults.Add(path.Join(partialsFolder, name), 0,
				"must end in .txt, .html or .json, which says where it may be included: rename it")
		}
	}
}

// unreadable notes an error of the file system, without the path that it repeats.
func (l *loader) unreadable(name string, err error) {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	l.faults.Add(name, 0, "cannot be read: "+err.Error())
}

// readDir lists a folder without hidden files. A ConfigMap's files and folders are links, which are followed;
// those that lead nowhere, or out of the folder of templates, are faults.
func (l *loader) readDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(l.folder, name)
	var entries []fs.DirEntry
	for _, entry := range all {
		if entry.Name()[0] == '.' {
			continue
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			file := path.Join(name, entry.Name())
			info, err := fs.Stat(l.folder, file)
			if err != nil {
				l.unreadable(file, err)
				continue
			}
			entry = fs.FileInfoToDirEntry(info)
		}
		entries = append(entries, entry)
	}
	return entries, err
}

// ignored reports whether a file beside the template's own is nobody's business.
func ignored(name string) bool {
	return strings.HasSuffix(name, "~") || strings.EqualFold(path.Ext(name), ".md")
}
