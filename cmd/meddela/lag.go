package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/metrics"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/topology"
)

const lagHelp = `Say how far each role is behind, measured from outside: also of roles that do not
run. WAITS is for how long the oldest record has waited that the role has not done
with: since it was written or, on a delay topic, since it was due.

With --listen it goes on measuring and serves the figures as metrics, with
/livez and /readyz, as one process beside the roles.`

type lagFlags struct {
	lanes      []string
	roles      []string
	channels   []string
	partitions bool
	listen     bool
	every      time.Duration
}

func newLagCommand(a *app) *cobra.Command {
	var f lagFlags
	cmd := &cobra.Command{
		Use:     "lag",
		GroupID: groupOperate,
		Short:   "Say how far each role is behind",
		Long:    lagHelp,
		Example: "  meddela lag\n  meddela lag --lane realtime --partitions -o json\n  meddela lag --listen --every 5s",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			gauge, err := f.gauge()
			if err != nil {
				return err
			}
			connection, err := a.kafka(cmd.Context())
			if err != nil {
				return err
			}
			transport := connection.Transport()
			defer transport.CloseIdleConnections()
			gauge.Addr, gauge.Transport, gauge.Names = connection.Addr(), transport, a.config.names()
			if f.listen {
				return a.monitor(cmd.Context(), gauge, f.every)
			}
			report, err := gauge.Measure(cmd.Context())
			if err != nil {
				return err
			}
			return a.printLag(report, f.partitions)
		},
	}
	cmd.Flags().StringSliceVar(&f.lanes, "lane", texts(topology.Lanes()), "lanes to look at")
	cmd.Flags().StringSliceVar(&f.roles, "role", texts(topology.Roles()), "roles to look at; notify too, where it runs")
	cmd.Flags().StringSliceVar(&f.channels, "channel", texts(topology.Channels()), "channels whose delivery to look at")
	cmd.Flags().BoolVar(&f.partitions, "partitions", false, "show each partition that is behind")
	cmd.Flags().BoolVar(&f.listen, "listen", false, "go on measuring, and serve metrics on MEDDELA_HTTP_ADDR")
	cmd.Flags().DurationVar(&f.every, "every", 10*time.Second, "with --listen: how often to measure")
	complete(cmd, "lane", texts(topology.Lanes())...)
	complete(cmd, "role", texts(append(topology.Roles(), topology.RoleNotify))...)
	complete(cmd, "channel", texts(topology.Channels())...)
	return cmd
}

// gauge is what the flags ask to measure.
func (f *lagFlags) gauge() (*lag.Gauge, error) {
	g := new(lag.Gauge)
	var err error
	if g.Lanes, err = chosen("lane", f.lanes, topology.Lanes()); err != nil {
		return nil, err
	}
	if g.Roles, err = chosen("role", f.roles, append(topology.Roles(), topology.RoleNotify)); err != nil {
		return nil, err
	}
	if g.Channels, err = chosen("channel", f.channels, topology.Channels()); err != nil {
		return nil, err
	}
	if f.every < time.Second {
		return nil, misusef("--every is %s: it must be a second or more", f.every)
	}
	return g, nil
}

// chosen are those of a closed list that a flag names, in the list's order.
func chosen[T ~string](flag string, words []string, all []T) (some []T, err error) {
	known := make(map[T]bool, len(all))
	for _, one := range all {
		known[one] = false
	}
	for _, word := range words {
		if _, ok := known[T(word)]; !ok {
			return nil, misusef("--%s is %q: use %s", flag, abridged(word), orList(texts(all)))
		}
		known[T(word)] = true
	}
	for _, one := range all {
		if known[one] {
			some = append(some, one)
		}
	}
	return some, nil
}

// monitor measures until ctx ends, and serves what it has measured.
func (a *app) monitor(ctx context.Context, gauge *lag.Gauge, every time.Duration) error {
	m := metrics.New("", "", version)
	v := &vitals{metrics: m}
	shown := m.Lag()
	stop, err := a.serveVitals(v)
	if err != nil {
		return err
	}
	defer stop()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		report, err := gauge.Measure(ctx)
		if err == nil {
			err = faultsOf(report)
		}
		shown.Measured(report)
		if err != nil && ctx.Err() == nil {
			a.log.Warn().Err(err).Msg("the lag cannot be measured; trying on")
		}
		select {
		case <-ticker.C:
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
}

type lagPartitionView struct {
	Topic     topology.Topic `json:"topic"`
	Partition int            `json:"partition"`
	Committed int64          `json:"committed"`
	End       int64          `json:"end"`
	Records   int64          `json:"records"`
	Waits     float64        `json:"waits_seconds"`
}

func secondsSince(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return now.Sub(since).Seconds()
}

func lagViewOf(g *lag.Group, now time.Time) lagView {
	v := lagView{
		Lane: g.Lane, Role: g.Role, Channel: g.Channel, Group: g.Name, Members: g.Members,
		Records: g.Lag(), Waits: secondsSince(g.Oldest(), now), Partitions: []lagPartitionView{},
	}
	if g.Err != nil {
		v.Error = g.Err.Error()
	}
	for i := range g.Partitions {
		p := &g.Partitions[i]
		v.Partitions = append(v.Partitions, lagPartitionView{p.Topic, p.ID, p.Committed, p.End, p.Lag, secondsSince(p.Oldest, now)})
	}
	return v
}

// printLag shows a measurement. What could not be measured is an error too.
func (a *app) printLag(report *lag.Report, partitions bool) error {
	if a.output == outputJSON {
		views := make([]lagView, len(report.Groups))
		for i := range report.Groups {
			views[i] = lagViewOf(&report.Groups[i], report.At)
		}
		if err := a.printJSON(views); err != nil {
			return err
		}
		return faultsOf(report)
	}
	t := newTable("lane", "role", "channel", "processes", "records", "waits")
	if partitions {
		t = newTable("lane", "role", "channel", "topic", "partition", "committed", "end", "records", "waits")
	}
	for i := range report.Groups {
		g := &report.Groups[i]
		if partitions {
			a.addPartitions(t, g, report.At)
		} else {
			t.AppendRow(table.Row{g.Lane, g.Role, g.Channel, a.processes(g), g.Lag(), a.waits(g.Oldest(), report.At)})
		}
	}
	if err := a.printTable(t); err != nil {
		return err
	}
	if report.Thin+report.Headless > 0 {
		if err := a.printf("\n%d brokers; %d partitions have fewer replicas in sync than they should, %d no leader\n", report.Brokers, report.Thin, report.Headless); err != nil {
			return err
		}
	}
	return faultsOf(report)
}

func (a *app) addPartitions(t table.Writer, g *lag.Group, now time.Time) {
	for i := range g.Partitions {
		if p := &g.Partitions[i]; p.Lag > 0 {
			t.AppendRow(table.Row{g.Lane, g.Role, g.Channel, p.Topic, p.ID, p.Committed, p.End, p.Lag, a.waits(p.Oldest, now)})
		}
	}
}

func (a *app) processes(g *lag.Group) string {
	switch {
	case g.Err != nil:
		return a.paint(text.FgRed, "?")
	case g.Members == 0:
		return a.paint(text.FgRed, "none")
	}
	return strconv.Itoa(g.Members)
}

// longWait is a wait that a person should look at.
const longWait = 8 * time.Second

func (a *app) waits(since, now time.Time) string {
	if since.IsZero() {
		return "-"
	}
	wait := now.Sub(since)
	shown := wait.Round(10 * time.Millisecond).String()
	if wait > longWait {
		return a.paint(text.FgYellow, shown)
	}
	return shown
}
