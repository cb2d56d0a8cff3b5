package cli

import (
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
)

// meddela runs one command line with exactly these MEDDELA_ variables.
func meddela(t *testing.T, environment map[string]string, input string, args ...string) clitest.Result {
	t.Helper()
	return clitest.Commands(commands()).Run(t, environment, input, args...)
}
