package control

import (
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/templates"
)

// meddela runs one command line with exactly these MEDDELA_ variables.
func meddela(t *testing.T, environment map[string]string, input string, args ...string) clitest.Result {
	t.Helper()
	return clitest.Commands{New, cluster.NewTopics, templates.New}.Run(t, environment, input, args...)
}
