package strictyaml

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/fresh"
)

// MaxSecretBytes bounds a secret's file: a key is a few thousand bytes.
const MaxSecretBytes = 64 << 10

// Secret is what a mapping refers to, with {env: VARIABLE} or {file: PATH}: a file that is
// shown around holds no secrets. Line ends behind it are not part of it. A file may be
// replaced: current is what is in it at the moment, value what is in it now.
func (m *Map) Secret(lookup func(string) (string, bool)) (value string, current func() string) {
	variable, file := m.Text("env"), m.Text("file")
	switch {
	case (variable == "") == (file == ""):
		m.Fail("env", "say where the secret is, with either env: VARIABLE or file: /run/secrets/NAME")
	case variable != "":
		text, ok := lookup(variable)
		if value = text; !ok || text == "" {
			m.Fail("env", variable+" is not set, or empty")
		}
	default:
		text, err := SecretIn(file)
		if err == nil {
			return strings.TrimRight(text(), "\r\n"), func() string { return strings.TrimRight(text(), "\r\n") }
		}
		m.Fail("file", err.Error())
	}
	return value, func() string { return value }
}

// SecretIn is the text of a secret's file, of which there must be some. It is read whenever it is asked for: a token
// that has been replaced may be refused at once.
func SecretIn(path string) (current func() string, err error) {
	return fresh.Within(0, func() (string, error) {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("it cannot be read: %w", err)
		}
		defer func() { _ = file.Close() }()
		text, err := io.ReadAll(io.LimitReader(file, MaxSecretBytes+1))
		switch {
		case err != nil:
			return "", fmt.Errorf("it cannot be read: %w", err)
		case len(text) > MaxSecretBytes:
			return "", fmt.Errorf("it has more than %d bytes", MaxSecretBytes)
		case strings.Trim(string(text), "\r\n") == "":
			return "", errors.New("it is empty")
		}
		return string(text), nil
	})
}
