package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// errNotWell is the error of a check that has said what is wrong.
var errNotWell = errors.New("not everything is as it must be: see above")

// NewCheck makes the command check.
func NewCheck(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		GroupID: command.GroupOperate,
		Short:   "Look whether everything is there that messages need",
		Long: `Look whether everything is there that messages need: the settings, Kafka and its
topics, Redis, templates, and a process of every role. Nothing is changed. The
exit code is 0 only if all is well; that there are no templates yet, or that a role
does not run, is told, and is no fault.`,
		Example: "  meddela check\n  meddela check -o json",
		Args:    command.Arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.Load(cmd); err != nil {
				return err
			}
			return printInspection(env, inspect(cmd.Context(), env))
		},
	}
}

// finding is what was looked at, and how it was found.
type finding struct {
	What   string `json:"what"`
	Well   bool   `json:"well"`
	Detail string `json:"detail"`
}

// inspect looks at one thing after the other; without Kafka at what needs none.
func inspect(ctx context.Context, env *command.Env) (findings []finding) {
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	note := func(what, detail string, err error) bool {
		f := finding{What: what, Well: err == nil, Detail: detail}
		if err != nil {
			f.Detail = err.Error()
		}
		findings = append(findings, f)
		return f.Well
	}
	client, err := env.Redis(ctx)
	if note("Redis", strings.Join(env.Config.Redis.Addrs, ","), err) {
		_ = client.Close()
	}
	if d := &env.Config.Deliver; d.File != "" || d.SMTPURL.Reveal() != "" || len(d.Sandbox) > 0 {
		providers, err := inspectProviders(d)
		note("providers", providers, err)
	}
	connection, err := env.Kafka(ctx)
	if !note("Kafka", strings.Join(env.Config.Kafka.Brokers, ","), err) {
		return findings
	}
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	detail, err := inspectTopics(ctx, env, &kafka.Client{Addr: connection.Addr(), Transport: transport})
	if !note("topics", detail, err) {
		return findings
	}
	detail, err = inspectTemplates(ctx, env, connection)
	note("templates", detail, err)
	gauge := lag.Gauge{
		Addr: connection.Addr(), Transport: transport, Names: env.Config.Names(),
		Lanes: topology.Lanes(), Roles: topology.Roles(), Channels: topology.Channels(),
	}
	report, err := gauge.Measure(ctx)
	if err == nil {
		err = firstFault(report)
	}
	note("roles", rolesOf(report), err)
	return findings
}

// inspectProviders says who the messages of each channel are handed to, as far as
// the settings that check was started with have it.
func inspectProviders(settings *config.DeliverSettings) (string, error) {
	file, err := settings.Providers()
	if err != nil {
		return "", err
	}
	var ways, none []string
	for _, channel := range topology.Channels() {
		route, ok := file.Routes[channel]
		switch {
		case settings.Sandboxed(channel):
			ways = append(ways, string(channel)+": the sandbox, which sends nothing")
		case ok:
			ways = append(ways, string(channel)+": "+route.Names())
		default:
			none = append(none, string(channel))
		}
	}
	if len(none) > 0 {
		ways = append(ways, "none of "+strings.Join(none, ", ")+
			" among the settings here: role deliver would not start for them")
	}
	return strings.Join(ways, "; "), nil
}

// firstFault stands for all groups that cannot be measured: mostly they have the
// same cause.
func firstFault(report *lag.Report) error {
	var first error
	count := 0
	for i := range report.Groups {
		if err := report.Groups[i].Err; err != nil {
			count++
			first = cmp.Or(first, err)
		}
	}
	if count > 1 {
		return fmt.Errorf("of %d groups it cannot be said: %w", count, first)
	}
	return first
}

func inspectTopics(ctx context.Context, env *command.Env, client *kafka.Client) (string, error) {
	names, sizing := env.Config.Names(), env.Config.Sizing()
	existing, err := provision.Survey(ctx, client, topicsOf(names.Specs(sizing)))
	if err != nil {
		return "", err
	}
	plan := provision.Compare(names, sizing, existing)
	if len(plan.Create) > 0 {
		return "", fmt.Errorf("%d are missing, such as %s: run `meddela topics apply`", len(plan.Create), plan.Create[0].Name)
	}
	if len(plan.Drift) > 0 {
		return fmt.Sprintf("all %d are there; %d differ from what was configured: see `meddela topics apply --dry-run`",
			len(plan.Ready)+len(plan.Drift), len(plan.Drift)), nil
	}
	return fmt.Sprintf("all %d are there", len(plan.Ready)), nil
}

func inspectTemplates(ctx context.Context, env *command.Env, connection producer.Connection) (string, error) {
	known, err := env.ReadTemplates(ctx, connection)
	if err != nil {
		return "", err
	}
	live := 0
	for entry := range known.All() {
		if latest, _ := known.Latest(entry.Record().Name); latest == entry && !entry.Record().Retired {
			live++
		}
	}
	if live == 0 {
		return "there are none yet, so no event is covered: run `meddela templates publish FOLDER`", nil
	}
	return fmt.Sprintf("%d are in force", live), nil
}

// rolesOf says which roles have no process.
func rolesOf(report *lag.Report) string {
	if report == nil {
		return ""
	}
	var idle []string
	for i := range report.Groups {
		if g := &report.Groups[i]; g.Members == 0 {
			idle = append(idle, strings.TrimSpace(string(g.Lane)+" "+string(g.Role)+" "+string(g.Channel)))
		}
	}
	if len(idle) == 0 {
		return "every role runs"
	}
	return "no process of " + strings.Join(idle, ", ")
}

func printInspection(env *command.Env, findings []finding) error {
	well := true
	for _, f := range findings {
		well = well && f.Well
	}
	if env.Output == command.JSON {
		if err := env.PrintJSON(findings); err != nil {
			return err
		}
	} else {
		t := command.NewTable()
		for _, f := range findings {
			mark := env.Paint(text.FgGreen, "well")
			if !f.Well {
				mark = env.Paint(text.FgRed, "WRONG")
			}
			t.AppendRow(table.Row{f.What, mark, f.Detail})
		}
		if err := env.PrintTable(t); err != nil {
			return err
		}
	}
	if !well {
		return errNotWell
	}
	return nil
}
