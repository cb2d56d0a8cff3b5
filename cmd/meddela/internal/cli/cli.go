// Package cli is the command line: it knows all commands, each of which is in a
// package below.
package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/build"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/bench"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/control"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/publish"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/redrive"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/run"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/settings"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/status"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/suppressions"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/templates"
)

// Main runs one command line on the streams of this process, and returns the exit
// status.
func Main(ctx context.Context, version string, args []string) int {
	build.Version = version
	env := &command.Env{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr, ReachTimeout: 5 * time.Second, Version: version}
	return env.Execute(ctx, args, commands()...)
}

// commands are those of the program, in no order: the help sorts them.
func commands() []func(*command.Env) *cobra.Command {
	return append(withServers, run.New, cluster.NewTopics, templates.New, publish.New, status.New, redrive.NewUncovered,
		redrive.NewDeadLetters, redrive.NewResend, redrive.NewTasks,
		suppressions.New, control.New, settings.NewProviders, cluster.NewCheck, cluster.NewLag, bench.New, settings.NewConfig,
		settings.NewVersion)
}

// withServers are the commands that bring servers of their own, which an image of
// production has no use for.
var withServers []func(*command.Env) *cobra.Command
