// Package testenv sets the environment of tests.
package testenv

import (
	"os"
	"strings"
	"testing"
)

// OnlyThese sets the MEDDELA_ variables, and unsets all others, for the test.
func OnlyThese(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "MEDDELA_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}
