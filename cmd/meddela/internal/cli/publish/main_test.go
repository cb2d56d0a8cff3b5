package publish

import (
	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
)

// meddela runs one command line with exactly these MEDDELA_ variables.
var meddela = clitest.Commands{New, cluster.NewTopics}.Run
