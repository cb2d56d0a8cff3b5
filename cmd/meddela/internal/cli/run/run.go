// Package run has the command that runs one role of one lane, as it is deployed.
package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/health"
	"github.com/meddela/meddela/cmd/meddela/internal/roles"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

const runHelp = `Runs one role of one lane, as it is deployed: any number of processes of the
same role and lane share its partitions, and each may come and go at any time.

  match    links events to templates: writes jobs and the delivery log
  deliver  sends the jobs' messages: writes the delivery log
  status   folds events and delivery log into Redis
  delay    holds what is scheduled for later until it is due
  notify   tells webhooks what became of events, where MEDDELA_NOTICES_FILE names some

A role serves /livez, /readyz, /startupz, /version and /metrics on
MEDDELA_HTTP_ADDR. On SIGTERM a role finishes what it has fetched, commits, and leaves its group.`

// New makes the command run.
func New(env *command.Env) *cobra.Command {
	all := append(topology.Roles(), topology.RoleNotify)
	var lane topology.Lane
	var channels []topology.Channel
	cmd := &cobra.Command{
		Use:       "run match|deliver|status|delay|notify --lane realtime|batch",
		Short:     "Run one role of one lane",
		Long:      runHelp,
		Example:   "  meddela run match --lane realtime\n  meddela run deliver --lane batch --channel email,push\n  meddela run status --lane batch",
		GroupID:   command.GroupRun,
		ValidArgs: wording.Texts(all),
		Args:      command.Arguments(1, 1, "one role"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			name := topology.Role(args[0])
			switch {
			case !slices.Contains(all, name):
				return command.Misusef("unknown role %q: use match, deliver, status, delay or notify", name)
			case len(channels) == 0:
				channels = topology.Channels()
			case name != topology.RoleDeliver:
				return command.Misusef("--channel is for role deliver only")
			}
			return nil
		},
		RunE: env.Loaded(func(ctx context.Context, args []string) error {
			return runRole(ctx, env, topology.Role(args[0]), lane, channels)
		}),
	}
	command.RequireLane(cmd, &lane)
	command.WordsFlag(cmd, &channels, "channel", topology.Channels(),
		"channels that role deliver delivers; default: all. Each is a consumer group of its own")
	return cmd
}

// runRole runs a role until ctx ends. At the start the servers that it needs
// must answer; later it waits for them.
func runRole(ctx context.Context, env *command.Env, name topology.Role, lane topology.Lane,
	channels []topology.Channel) error {
	roles.LimitMemory(env.Config.Loop.InFlightBytes)
	in, err := roles.New(&env.Config, env.Log)
	if err != nil {
		return err
	}
	in.Channels = channels
	if name == topology.RoleDeliver {
		if err := checkChannels(env, in); err != nil {
			return err
		}
	}
	if in.Kafka, err = env.Kafka(ctx); err != nil {
		return err
	}
	loops := 1
	if name == topology.RoleDeliver {
		loops = len(channels)
	}
	v := health.New(name, lane, env.Version, loops)
	in.Started, in.Metrics = v.Add, v.Metrics
	var flush func()
	if in.Tracer, flush, err = roles.NewTracer(ctx, &env.Config, env.Log, env.Version, name, lane); err != nil {
		return err
	}
	defer flush()
	stop, err := v.Serve(env.Log, &env.Config)
	if err != nil {
		return err
	}
	defer stop()
	if name == topology.RoleDeliver || name == topology.RoleStatus {
		client, err := env.Redis(ctx)
		if err != nil {
			return err
		}
		if err := client.Close(); err != nil {
			return err
		}
	}
	env.Log.Info().Str("role", string(name)).Str("lane", string(lane)).Str("version", env.Version).Msg("starting")
	err = in.Run(ctx, name, lane)
	env.Log.Info().Str("role", string(name)).Str("lane", string(lane)).Msg("stopped")
	return err
}

// checkChannels wants each channel to have a provider or, by choice, the sandbox.
func checkChannels(env *command.Env, in *roles.Installation) error {
	if none := env.Config.Deliver.Unprovided(in.Providers, in.Channels); len(none) > 0 {
		channels := strings.Join(wording.Texts(none), ",")
		return config.Faults{fmt.Sprintf("no provider of %s: name one in MEDDELA_PROVIDERS_FILE, or for e-mail in MEDDELA_SMTP_URL; "+
			"deliver only other channels with --channel; or send nothing, with MEDDELA_SANDBOX_CHANNELS=%s (all is every channel)",
			strings.Join(wording.Texts(none), ", "), channels)}
	}
	if sandboxed := wording.Texts(env.Config.Deliver.SandboxedOf(in.Channels)); len(sandboxed) > 0 {
		env.Log.Warn().Strs("channels",
			sandboxed).Msg("messages of these channels go to the sandbox, which sends nothing: see MEDDELA_SANDBOX_CHANNELS")
	}
	return nil
}
