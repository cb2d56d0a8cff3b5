package bench

import (
	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/up"
)

func commands() clitest.Commands {
	return clitest.Commands{New, up.NewUp}
}
