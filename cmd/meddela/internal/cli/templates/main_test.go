package templates

import (
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/publish"
)

func commands() clitest.Commands {
	return clitest.Commands{New, cluster.NewTopics, publish.New}
}

// meddela runs one command line with exactly these MEDDELA_ variables.
func meddela(t *testing.T, environment map[string]string, input string, args ...string) clitest.Result {
	t.Helper()
	return commands().Run(t, environment, input, args...)
}
