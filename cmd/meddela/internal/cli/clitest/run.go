package clitest

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

// Commands are those that a test needs.
type Commands []func(*command.Env) *cobra.Command

// Run runs one command line with exactly these MEDDELA_ variables.
func (c Commands) Run(t *testing.T, environment map[string]string, input string, args ...string) Result {
	t.Helper()
	testenv.OnlyThese(t, environment)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errOut bytes.Buffer
	env := &command.Env{In: strings.NewReader(input), Out: &out, ErrOut: &errOut, ReachTimeout: 2 * time.Second,
		Version: "dev"}
	status := env.Execute(ctx, args, c...)
	return Result{status, out.String(), errOut.String()}
}
