package preview

import (
	"context"
	"encoding/hex"
	"hash"
	"hash/fnv"
	"io/fs"
	"strconv"
	"time"
)

// watchInterval is how often a folder is looked at: folders of templates are
// small, and looking works on every file system.
const watchInterval = 250 * time.Millisecond

// stateOf is a digest of the names, sizes and times of a folder's files, which
// is another one after every change.
func stateOf(folder fs.FS) string {
	sum := fnv.New128a()
	_ = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		addFile(sum, name, entry, err)
		return nil // what cannot be looked at now may be later
	})
	return hex.EncodeToString(sum.Sum(nil))
}

func addFile(sum hash.Hash, name string, entry fs.DirEntry, err error) {
	line := append([]byte(name), 0)
	if err == nil && !entry.IsDir() {
		info, infoErr := entry.Info()
		if err = infoErr; err == nil {
			line = strconv.AppendInt(line, info.Size(), 10)
			line = append(line, 0)
			line = strconv.AppendInt(line, info.ModTime().UnixNano(), 10)
		}
	}
	if err != nil {
		line = append(line, err.Error()...)
	}
	_, _ = sum.Write(append(line, '\n')) // a hash takes everything
}

// watch calls changed with the folder's state whenever that is another than
// before, until ctx ends.
func watch(ctx context.Context, folder fs.FS, before string, changed func(state string)) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if state := stateOf(folder); state != before {
			before = state
			changed(state)
		}
	}
}
