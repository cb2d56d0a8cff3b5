package cluster

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/health"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/topology"
)

const lagHelp = `Say how far each role is behind, measured from outside: also of roles that do not
run. WAITS is for how long the oldest record has waited that the role has not done
with: since it was written or, on a delay topic, since it was due. Providers that
fail are told too, with their last answers.

With --listen it goes on measuring and serves the figures as metrics, with
/livez and /readyz, as one process beside the roles.`

// NewLag makes the command lag.
func NewLag(env *command.Env) *cobra.Command {
	gauge := lag.Gauge{Lanes: topology.Lanes(), Roles: topology.Roles(), Channels: topology.Channels()}
	var partitions, listen bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:     "lag",
		GroupID: command.GroupOperate,
		Short:   "Say how far each role is behind",
		Long:    lagHelp,
		Example: "  meddela lag\n  meddela lag --lane realtime --partitions -o json\n  meddela lag --listen --every 5s",
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			if err := gaugeOf(ctx, env, &gauge); err != nil {
				return err
			}
			if listen {
				return monitor(ctx, env, &gauge, every)
			}
			report, err := gauge.Measure(ctx)
			if err != nil {
				return err
			}
			troubles, told := env.Troubles(ctx, gauge.Lanes...)
			if env.Output != command.JSON && told != "" {
				err = env.Printf("%s\n\n", told)
			}
			return errors.Join(err, printLag(env, report, troubles, partitions))
		}),
	}
	command.WordsFlag(cmd, &gauge.Lanes, "lane", topology.Lanes(), "lanes to look at")
	command.WordsFlag(cmd, &gauge.Roles, "role", append(topology.Roles(), topology.RoleNotify),
		"roles to look at; notify too, where it runs")
	command.WordsFlag(cmd, &gauge.Channels, "channel", topology.Channels(), "channels whose delivery to look at")
	cmd.Flags().BoolVar(&partitions, "partitions", false, "show each partition that is behind")
	cmd.Flags().BoolVar(&listen, "listen", false, "go on measuring, and serve metrics on MEDDELA_HTTP_ADDR")
	cmd.Flags().DurationVar(&every, "every", 10*time.Second, "with --listen: how often to measure")
	command.Bound(cmd, "every", func() bool { return every >= time.Second }, "a second or more")
	return cmd
}

func gaugeOf(ctx context.Context, env *command.Env, gauge *lag.Gauge) error {
	client, err := env.Client(ctx)
	if err == nil {
		gauge.Addr, gauge.Transport, gauge.Names = client.Addr, client.Transport, env.Config.Names()
	}
	return err
}

// monitor measures until ctx ends, and serves what it has measured.
func monitor(ctx context.Context, env *command.Env, gauge *lag.Gauge, every time.Duration) error {
	v := health.New("", nil, env.Version, 0)
	shown := v.Metrics.Lag()
	stop, err := v.Serve(env.Log, &env.Config)
	if err != nil {
		return err
	}
	defer stop()
	for tick := time.Tick(every); ctx.Err() == nil; {
		report, err := gauge.Measure(ctx)
		if err == nil {
			err = faultsOf(report)
		}
		shown.Measured(report)
		if err != nil && ctx.Err() == nil {
			env.Log.Warn().Err(err).Msg("the lag cannot be measured; trying on")
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
	return nil
}

func faultsOf(report *lag.Report) (all error) {
	for i := range report.Groups {
		all = errors.Join(all, report.Groups[i].Err)
	}
	return all
}

// lagView is how far one role is behind, as --output json shows it.
type lagView struct {
	Lane       topology.Lane      `json:"lane"`
	Role       topology.Role      `json:"role"`
	Channel    topology.Channel   `json:"channel,omitempty"`
	Group      string             `json:"group"`
	Members    int                `json:"members"`
	Records    int64              `json:"records"`
	Waits      float64            `json:"waits_seconds"`
	Error      string             `json:"error,omitempty"`
	Partitions []lagPartitionView `json:"partitions"`
	Troubles   []topology.Trouble `json:"troubles,omitempty"` // with providers of its channel
}

type lagPartitionView struct {
	Topic     topology.Topic `json:"topic"`
	Partition int            `json:"partition"`
	Committed int64          `json:"committed"`
	End       int64          `json:"end"`
	Records   int64          `json:"records"`
	Waits     float64        `json:"waits_seconds"`
}

// waited is how long what is there since then has waited; 0 for a zero time.
func waited(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return now.Sub(since)
}

// printLag shows a measurement. What could not be measured is an error too.
func printLag(env *command.Env, report *lag.Report, troubles []topology.Trouble, partitions bool) error {
	t := command.NewTable("lane", "role", "channel", "processes", "records", "waits")
	if partitions {
		t = command.NewTable("lane", "role", "channel", "topic", "partition", "committed", "end", "records", "waits")
	}
	views := make([]lagView, len(report.Groups))
	for i := range report.Groups {
		g := &report.Groups[i]
		v := &views[i]
		wait := waited(g.Oldest(), report.At)
		*v = lagView{g.Lane, g.Role, g.Channel, g.Name, g.Members, g.Lag(), wait.Seconds(), "", []lagPartitionView{},
			slices.DeleteFunc(slices.Clone(troubles),
				func(t topology.Trouble) bool { return t.Lane != g.Lane || t.Channel != g.Channel })}
		if g.Err != nil {
			v.Error = g.Err.Error()
		}
		if !partitions {
			t.AppendRow(table.Row{g.Lane, g.Role, g.Channel, processes(env, g), v.Records, paintWait(env, wait)})
		}
		for j := range g.Partitions {
			p := &g.Partitions[j]
			wait := waited(p.Oldest, report.At)
			v.Partitions = append(v.Partitions,
				lagPartitionView{p.Topic, p.ID, p.Committed, p.End, p.Lag, wait.Seconds()})
			if partitions && p.Lag > 0 {
				t.AppendRow(table.Row{g.Lane, g.Role, g.Channel, p.Topic, p.ID, p.Committed, p.End, p.Lag, paintWait(env, wait)})
			}
		}
	}
	err := env.PrintEither(views, t)
	if env.Output != command.JSON && report.UnderReplicated+report.Offline > 0 {
		err = errors.Join(err,
			env.Printf("\n%d brokers; %d partitions have fewer replicas in sync than they should, %d no leader\n",
				report.Brokers, report.UnderReplicated, report.Offline))
	}
	return errors.Join(err, faultsOf(report))
}

func processes(env *command.Env, g *lag.Group) command.Painted {
	switch {
	case g.Err != nil:
		return command.Painted(env.Paint(text.FgRed, "?"))
	case g.Members == 0:
		return command.Painted(env.Paint(text.FgRed, "none"))
	}
	return command.Painted(strconv.Itoa(g.Members))
}

// longWait is a wait that a person should look at.
const longWait = 8 * time.Second

func paintWait(env *command.Env, wait time.Duration) command.Painted {
	shown := wait.Round(10 * time.Millisecond).String()
	switch {
	case wait == 0:
		return "-"
	case wait > longWait:
		return command.Painted(env.Paint(text.FgYellow, shown))
	}
	return command.Painted(shown)
}
