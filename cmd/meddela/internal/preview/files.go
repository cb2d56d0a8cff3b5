package preview

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
)

// WriteFiles writes each part of each message to <template>/<sample>.<language>.<part> in a
// folder, and returns how many. Other files are not touched.
func WriteFiles(folder string, renderings []Rendering) (written int, err error) {
	for i := range renderings {
		r := &renderings[i]
		base := filepath.Join(folder, r.Template.Name)
		if err := os.MkdirAll(base, 0o755); err != nil {
			return written, err
		}
		for _, part := range authoring.Parts(&r.Message) {
			name := r.SampleName() + "." + fileName(r.Language) + "." + part.Name
			text := []byte(strings.TrimSuffix(part.Text, "\n") + "\n") // as tools that compare lines like it
			if err := os.WriteFile(filepath.Join(base, name), text, 0o644); err != nil {
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
		if r == '-' || r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, language)
}
