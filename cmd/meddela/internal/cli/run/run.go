// Package run has the command that runs roles of a lane, as they are deployed.
package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
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
  receive  hears from providers what became of messages: delivered, bounced, unsubscribed.
           It is of both lanes, and has no --lane
  audit    says which events nothing tells of although they were read: none, unless something is
           lost. It only reads, one process is enough, and it is of both lanes too
  all      is all of these but receive and audit in one process, for a small installation: while
           they are at the same place, one read serves them all

A process serves /livez, /readyz, /startupz, /version and /metrics on
MEDDELA_HTTP_ADDR. On SIGTERM it finishes what it has fetched, commits, and leaves its groups.`

// New makes the command run.
func New(env *command.Env) *cobra.Command {
	names := append(wording.Texts(append(topology.Roles(), topology.RoleNotify, topology.RoleReceive, topology.RoleAudit)),
		everyRole)
	var lane topology.Lane
	var channels []topology.Channel
	cmd := &cobra.Command{
		Use:   "run match|deliver|status|delay|notify|receive|audit|all --lane realtime|batch",
		Short: "Run one role of one lane, or all of them",
		Long:  runHelp,
		Example: "  meddela run match --lane realtime\n  meddela run deliver --lane batch --channel email,push\n" +
			"  meddela run all --lane realtime",
		GroupID:   command.GroupRun,
		ValidArgs: names,
		Args:      command.Arguments(1, 1, "one role"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			switch name := args[0]; {
			case !slices.Contains(names, name):
				return command.Misusef("unknown role %q: use %s", name, wording.OrList(names))
			case lane == "" && ofBothLanes[name] == nil:
				return command.ErrNoLane
			case lane != "" && ofBothLanes[name] != nil:
				return command.Misusef("role %s is of both lanes: leave out --lane", name)
			case len(channels) == 0:
				channels = topology.Channels()
			case name != string(topology.RoleDeliver) && name != everyRole:
				return command.Misusef("--channel is for role deliver only, by itself or in all")
			}
			return nil
		},
		RunE: env.Loaded(func(ctx context.Context, args []string) error {
			if start := ofBothLanes[args[0]]; start != nil {
				return runOfBoth(ctx, env, topology.Role(args[0]), start)
			}
			run := []topology.Role{topology.Role(args[0])}
			if args[0] == everyRole {
				run = topology.Roles()
				if env.Config.Status.NoticesFile != "" {
					run = append(run, topology.RoleNotify)
				}
			}
			err := runRoles(ctx, env, run, lane, channels)
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil // stopped before it had begun
			}
			return err
		}),
	}
	command.WordFlag(cmd, &lane, "lane", topology.Lanes(), "realtime or batch")
	command.WordsFlag(cmd, &channels, "channel", topology.Channels(),
		"channels that role deliver delivers; default: all. Each is a consumer group of its own")
	return cmd
}

const everyRole = "all" // that a lane has

// ofBothLanes start the roles that are no lane's.
var ofBothLanes = map[string]func(*roles.Installation, context.Context, func()) error{
	string(topology.RoleReceive): (*roles.Installation).Receive,
	string(topology.RoleAudit):   (*roles.Installation).Audit,
}

// runOfBoth runs a role of both lanes until ctx ends.
func runOfBoth(ctx context.Context, env *command.Env, name topology.Role,
	start func(*roles.Installation, context.Context, func()) error) error {
	in, err := roles.New(&env.Config, env.Log, roles.Dial{})
	if err != nil {
		return err
	}
	v := health.New("", []topology.Role{name}, env.Version, 1)
	in.Metrics, in.Version = v.Metrics, env.Version
	stop, err := v.Serve(env.Log, &env.Config)
	if err != nil {
		return err
	}
	defer stop()
	return start(in, ctx, v.Begin)
}

// runRoles runs roles until ctx ends. At the start the servers that they need must
// answer; later they wait for them.
func runRoles(ctx context.Context, env *command.Env, names []topology.Role, lane topology.Lane,
	channels []topology.Channel) error {
	roles.LimitMemory(env.Config.Loop.InFlightBytes)
	in, err := roles.New(&env.Config, env.Log, roles.Dial{})
	if err != nil {
		return err
	}
	in.Channels = channels
	loops := len(names)
	if slices.Contains(names, topology.RoleDeliver) {
		loops += len(channels) - 1 // it has one for each
		if err := checkChannels(env, in); err != nil {
			return err
		}
	}
	connection, err := env.Kafka(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		asking, cancel := context.WithTimeout(ctx, env.ReachTimeout)
		missing, err := connect.MissingInKafka(asking, connection, in.Names.Rights(topology.User(name), lane))
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || len(missing) > 0 {
			env.Log.Warn().Err(err).Str("role", string(name)).Strs("missing", missing).Msg("our Kafka user lacks rights")
		}
	}
	v := health.New(lane, names, env.Version, loops)
	in.Started, in.Metrics, in.Version = v.Add, v.Metrics, env.Version
	stop, err := v.Serve(env.Log, &env.Config)
	if err != nil {
		return err
	}
	defer stop()
	if slices.Contains(names, topology.RoleDeliver) || slices.Contains(names, topology.RoleStatus) {
		client, err := env.Redis(ctx)
		if err != nil {
			return err
		}
		_ = client.Close() // the roles have their own
	}
	log := env.Log.With().Strs("roles", wording.Texts(names)).Str("lane", string(lane)).Logger()
	log.Info().Str("version", env.Version).Msg("starting")
	running, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		running.Go(func() error { return in.Run(ctx, name, lane) })
	}
	err = running.Wait()
	log.Info().Msg("stopped")
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
