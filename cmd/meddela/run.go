package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
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

func newRunCommand(a *app) *cobra.Command {
	var lane topology.Lane
	var channels []string
	cmd := &cobra.Command{
		Use:     "run match|deliver|status|delay|notify --lane realtime|batch",
		Short:   "Run one role of one lane",
		Long:    runHelp,
		Example: "  meddela run match --lane realtime\n  meddela run deliver --lane batch --channel email,push\n  meddela run status --lane batch",
		GroupID: groupRun,
		Args:    arguments(1, 1, "one role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireLane(lane); err != nil {
				return err
			}
			name, err := parseRole(args[0])
			if err != nil {
				return err
			}
			if err := a.load(cmd); err != nil {
				return err
			}
			some, err := parseChannels(name, channels)
			if err != nil {
				return err
			}
			return a.runRole(cmd.Context(), name, lane, some)
		},
	}
	for _, r := range append(topology.Roles(), topology.RoleNotify) {
		cmd.ValidArgs = append(cmd.ValidArgs, string(r))
	}
	addLaneFlag(cmd, &lane)
	cmd.Flags().StringSliceVar(&channels, "channel", nil, "channels that role deliver delivers; default: all. Each is a consumer group of its own")
	complete(cmd, "channel", texts(topology.Channels())...)
	return cmd
}

func parseRole(s string) (topology.Role, error) {
	for _, r := range append(topology.Roles(), topology.RoleNotify) {
		if string(r) == s {
			return r, nil
		}
	}
	return "", misusef("unknown role %q: use match, deliver, status, delay or notify", s)
}

// parseChannels reads the channels that a role is to deliver.
func parseChannels(role topology.Role, names []string) ([]topology.Channel, error) {
	if len(names) == 0 {
		return topology.Channels(), nil
	}
	if role != topology.RoleDeliver {
		return nil, misusef("--channel is for role deliver only")
	}
	return chosen("channel", names, topology.Channels())
}

// runRole runs a role until ctx ends. At the start the servers that it needs
// must answer; later it waits for them.
func (a *app) runRole(ctx context.Context, name topology.Role, lane topology.Lane, channels []topology.Channel) error {
	limitMemory()
	in, err := a.installation(ctx)
	if err != nil {
		return err
	}
	in.channels = channels
	loops := 1
	if name == topology.RoleDeliver {
		loops = len(channels)
	}
	v := newVitals(name, lane, loops)
	in.started, in.metrics = v.add, v.metrics
	var flush func()
	if in.tracer, flush, err = a.tracer(ctx, name, lane); err != nil {
		return err
	}
	defer flush()
	stop, err := a.serveVitals(v)
	if err != nil {
		return err
	}
	defer stop()
	if name == topology.RoleDeliver || name == topology.RoleStatus {
		client, err := a.redis(ctx)
		if err != nil {
			return err
		}
		if err := client.Close(); err != nil {
			return err
		}
	}
	a.log.Info().Str("role", string(name)).Str("lane", string(lane)).Str("version", version).Msg("starting")
	if name == topology.RoleDeliver {
		a.warnOfSandbox(in)
	}
	err = in.run(ctx, name, lane)
	a.log.Info().Str("role", string(name)).Str("lane", string(lane)).Msg("stopped")
	return err
}

// warnOfSandbox says of which channels nobody gets anything.
func (a *app) warnOfSandbox(in *installation) {
	var channels []string
	for _, channel := range in.channels {
		if in.file != nil && len(in.file.Routes[channel].Members) > 0 {
			continue
		}
		if _, ok := in.providers[channel].(*sandbox.Provider); ok {
			channels = append(channels, string(channel))
		}
	}
	if len(channels) > 0 {
		a.log.Warn().Strs("channels", channels).Msg("messages of these channels go to the sandbox, which sends nothing: see MEDDELA_DELIVER_…")
	}
}

// installation is the configured one, on servers outside of this process.
func (a *app) installation(ctx context.Context) (*installation, error) {
	connection, err := a.kafka(ctx)
	if err != nil {
		return nil, err
	}
	providers, err := a.config.providers()
	if err != nil {
		return nil, err
	}
	file, err := a.config.providerFile()
	if err != nil {
		return nil, err
	}
	return &installation{
		file:   file,
		config: &a.config, names: a.config.names(), keys: a.config.keys(),
		kafka:     connection,
		redis:     func() (redis.UniversalClient, error) { return a.config.Redis.client() },
		providers: providers,
		log:       a.log,
	}, nil
}

// memoryLimit is what the runtime keeps a role below, garbage included. What a
// role holds at once is bounded by its fetches, far below this.
const memoryLimit = 64 << 20

// garbagePercent is how much garbage there may be beside what is in use, as
// long as both fit in memoryLimit. A role holds little and makes much, so that
// with Go's own 100 it would collect many times a second.
const garbagePercent = 400

// limitMemory has the garbage collector work harder rather than take more
// memory, and not before it must, unless GOMEMLIMIT or GOGC say otherwise.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
