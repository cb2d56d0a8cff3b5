package status

import "github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"

// meddela runs one command line with exactly these MEDDELA_ variables.
var meddela = clitest.Commands{New}.Run
