package redrive

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/tasks"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// NewUncovered makes the command uncovered.
func NewUncovered(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "uncovered",
		GroupID: command.GroupOperate,
		Short:   "List events that no template was linked to, and heal them",
		Long: `List events that no template was linked to, and heal them: nobody got a message of
theirs. Templates explain ID says why; once there is a template, heal publishes them.`,
	})
	cmd.AddCommand(ofUncovered(env, uncoveredList), ofUncovered(env, uncoveredHeal))
	return cmd
}

// ofUncovered makes a command about events that are not covered, with its flags.
func ofUncovered(env *command.Env, make func(*starting) *cobra.Command) *cobra.Command {
	s := newStarting(env, topology.ResendEvents)
	s.spec.Filter.Statuses = []topology.Status{topology.NotCovered}
	cmd := make(s)
	s.addRangeFlags(cmd)
	s.addEventFlags(cmd, topology.ReasonsOf(topology.NotCovered))
	return cmd
}

func uncoveredList(s *starting) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the events that no template was linked to, by what they have in common",
		Long: `List the events that no template was linked to, by type, channel, language and
reason, each with a sample. What has been healed since, or covered by a copy of
the same event, is left out.`,
		Example: "  meddela uncovered list\n  meddela uncovered list --lane realtime --since 1h -o json",
		RunE:    s.env.Loaded(s.listUncovered),
	}
}

func uncoveredHeal(s *starting) *cobra.Command {
	return s.command(&cobra.Command{
		Use:   "heal",
		Short: "Publish the events again that were not covered, and would be now",
		Long: `Publish the events again that were not covered, and would be now: meddela resend
of what is not_covered, which tells how.`,
		Example: "  meddela uncovered heal --dry-run\n" +
			"  meddela uncovered heal --type loyalty_tier_changed --rate 50 --why 'template published' --yes",
	})
}

func (s *starting) listUncovered(ctx context.Context, _ []string) error {
	engine, err := s.engine(ctx)
	if err != nil {
		return err
	}
	specs, err := s.freeze(ctx, engine)
	if err != nil {
		return err
	}
	var all []tasks.Event
	for i := range specs {
		spec := &specs[i]
		err := s.env.ShowScan("entries of the "+string(spec.Lane)+" delivery log", func(p *scan.Progress) error {
			events, err := engine.Find(ctx, spec, p)
			if err == nil {
				events, err = engine.Still(ctx, &spec.Filter, events)
			}
			all = append(all, events...)
			return err
		})
		if err != nil {
			return err
		}
	}
	byKey := tasks.Groups{}
	for i := range all {
		e := &all[i]
		key := tasks.Key{Lane: e.Lane, Type: e.Type, Channel: e.Channel, Language: e.Language, Reason: e.Reason}
		byKey.Add(key, e.UpdatedAt, e.EventID, e.Source, e.Detail)
	}
	groups := append([]*tasks.Group{}, byKey.Sorted()...)
	t := command.NewTable("events", "lane", "type", "channel", "language", "reason", "last", "for instance")
	for _, g := range groups {
		t.AppendRow([]any{
			g.Count, g.Lane, wording.Abridged(g.Type), g.Channel, cmp.Or(g.Language, "-"), g.Reason,
			wording.Moment(g.Last), g.Sample,
		})
	}
	foot := "\n" + wording.Count(len(all), "event is", "events are") + " not covered. " +
		"Why one is: meddela templates explain ID. Once there is a template: meddela uncovered heal --dry-run\n"
	return s.env.PrintList(map[string]any{"events": len(all), "groups": groups}, t, foot,
		"no events of the last "+wording.Length(s.since)+" are not covered")
}
