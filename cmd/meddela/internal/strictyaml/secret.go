package strictyaml

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxSecretBytes bounds a secret's file: a key is a few thousand bytes.
const MaxSecretBytes = 64 << 10

// Secret is what a mapping refers to, with {env: VARIABLE} or {file: PATH}: a file that is
// shown around holds no secrets. Line ends behind it are not part of it.
func (m *Map) Secret(lookup func(string) (string, bool)) (value string) {
	variable, file := m.Text("env"), m.Text("file")
	switch {
	case (variable == "") == (file == ""):
		m.Fail("env", "say where the secret is, with either env: VARIABLE or file: /run/secrets/NAME")
	case variable != "":
		found, ok := lookup(variable)
		if value = found; !ok || found == "" {
			m.Fail("env", variable+" is not set, or empty")
		}
	default:
		text, err := SecretIn(file)
		if value = strings.TrimRight(text, "\r\n"); err != nil {
			m.Fail("file", "it cannot be read: "+err.Error())
		} else if value == "" {
			m.Fail("file", "it is empty")
		}
	}
	return value
}

// SecretIn is the text of a secret's file.
func SecretIn(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, MaxSecretBytes+1))
	if err == nil && len(text) > MaxSecretBytes {
		return "", fmt.Errorf("%s has more than %d bytes", path, MaxSecretBytes)
	}
	return string(text), err
}
