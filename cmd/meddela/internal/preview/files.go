package preview

import (
	"os"
	"path/filepath"
	"strings"
)

// WriteFiles writes each part of each message to a file of its own in a folder,
// <template>/<sample>.<language>.<part>, and returns how many. Files that are
// there are written anew, and no others touched.
func WriteFiles(folder string, renderings []Rendering) (written int, err error) {
	for i := range renderings {
		r := &renderings[i]
		base := filepath.Join(folder, r.Template.Name)
		if err := os.MkdirAll(base, 0o755); err != nil {
			return written, err
		}
		for _, part := range r.Parts() {
			name := r.SampleName() + "." + fileName(r.Language) + "." + part.Name
			if err := os.WriteFile(filepath.Join(base, name), ended(part.Text), 0o644); err != nil {
				return written, err
			}
			written++
		}
	}
	return written, nil
}

// fileName is a language tag that cannot lead out of its folder.
func fileName(language string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-':
			return r
		}
		return '_'
	}, language)
}

// ended is text whose last line is whole, as tools that compare lines like it.
func ended(text string) []byte {
	if strings.HasSuffix(text, "\n") {
		return []byte(text)
	}
	return []byte(text + "\n")
}
