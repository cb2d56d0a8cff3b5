package settings

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/build"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// NewVersion makes the command version.
func NewVersion(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this binary",
		Example: "  meddela version -o json",
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			b := build.Of(env.Version, info)
			return env.Print(b, "%s\n", b)
		},
	}
}
