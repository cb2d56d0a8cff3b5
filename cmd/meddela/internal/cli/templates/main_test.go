package templates

import (
	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/publish"
)

func commands() clitest.Commands {
	return clitest.Commands{New, cluster.NewTopics, publish.New}
}

// meddela runs one command line with exactly these MEDDELA_ variables.
var meddela = commands().Run
