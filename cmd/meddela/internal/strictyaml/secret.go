package strictyaml

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretBytes bounds a secret's file: a key is a few thousand bytes.
const maxSecretBytes = 64 << 10

// Secret is what a mapping refers to, with {env: VARIABLE} or {file: PATH}: a
// file that is shown around holds no secrets. lookup is os.LookupEnv. A line's
// end behind it is not part of it.
func (m *Map) Secret(lookup func(string) (string, bool)) string {
	variable, file := m.Text("env"), m.Text("file")
	switch {
	case (variable == "") == (file == ""):
		m.Fail("env", "say where the secret is, with either env: VARIABLE or file: /run/secrets/NAME")
	case variable != "":
		value, ok := lookup(variable)
		if !ok || value == "" {
			m.Fail("env", variable+" is not set, or empty")
		}
		return value
	default:
		value, err := secretIn(file)
		if err != nil {
			m.Fail("file", "it cannot be read: "+err.Error())
		} else if value == "" {
			m.Fail("file", "it is empty")
		}
		return value
	}
	return ""
}

func secretIn(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err == nil && len(text) > maxSecretBytes {
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecretBytes)
	}
	return strings.TrimRight(string(text), "\r\n"), err
}
