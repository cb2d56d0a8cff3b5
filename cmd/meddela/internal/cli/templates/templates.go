// Package templates has the commands of those who write templates, and of those who
// look after events that no template covers.
package templates

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// New makes the command templates.
func New(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "templates",
		GroupID: command.GroupOperate,
		Short:   "Check, render, publish, list, retire and roll back message templates",
	})
	cmd.AddCommand(newTemplatesLintCommand(env), newTemplatesPublishCommand(env), newTemplatesListCommand(env))
	cmd.AddCommand(newTemplatesRetireCommand(env), newTemplatesRollbackCommand(env), newTemplatesPruneCommand(env))
	cmd.AddCommand(newTemplatesRenderCommand(env), newTemplatesExplainCommand(env), newTemplatesDiffLogCommand(env))
	return cmd
}

// loaded reads the configuration before a command runs.
func loaded(env *command.Env, run func(context.Context, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := env.Load(cmd); err != nil {
			return err
		}
		return run(cmd.Context(), args)
	}
}

// openFolder is a folder of templates, which must be there.
func openFolder(name string) (fs.FS, error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s", name)
	}
	return os.DirFS(name), nil
}

// checkFolder reads a folder of templates. Faults in it are in the report.
func checkFolder(name string) (report authoring.Report, err error) {
	folder, err := openFolder(name)
	if err != nil {
		return report, err
	}
	report, err = authoring.Check(folder)
	if err == nil && report.Folders == 0 && len(report.Faults) == 0 {
		err = fmt.Errorf("there are no templates in %s: a template is a folder with a template.yaml in it", name)
	}
	return report, err
}

// loadFolder reads a folder without faults; refusal is what does not happen otherwise.
func loadFolder(name, refusal string) ([]topology.TemplateRecord, error) {
	folder, err := openFolder(name)
	if err != nil {
		return nil, err
	}
	records, err := authoring.Load(folder)
	if err != nil {
		return nil, fmt.Errorf("%s, because of %s:\n%w", refusal, name, err)
	}
	return records, nil
}

// follow reads the templates topic to its end, and follows it until stop is called.
// The follower's fetches wait at the broker: the writer has a transport of its own.
func follow(ctx context.Context, env *command.Env) (follower *catalogue.Follower, writer *producer.Publisher,
	stop func(), err error) {
	connection, err := env.Kafka(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	follower, unfollow, err := env.FollowTemplates(ctx, connection)
	if err != nil {
		return nil, nil, nil, err
	}
	transport := connection.Transport()
	writer = &producer.Publisher{Addr: connection.Addr(), Transport: transport, Log: env.Log}
	return follower, writer, func() { unfollow(); transport.CloseIdleConnections() }, nil
}

// addLanesFlag adds --lane to a command that works on both lanes without it.
func addLanesFlag(cmd *cobra.Command, lane *topology.Lane) {
	command.AddLaneFlag(cmd, lane)
	cmd.Flags().Lookup("lane").Usage = "realtime or batch; default: both"
}

func lanesOf(lane topology.Lane) []topology.Lane {
	if lane != "" {
		return []topology.Lane{lane}
	}
	return topology.Lanes()
}
