package templates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/uncovered"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// NewUncovered makes the command uncovered.
func NewUncovered(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "uncovered",
		GroupID: command.GroupOperate,
		Short:   "List events that no template was linked to, and heal them",
	})
	cmd.AddCommand(newUncoveredListCommand(env), newUncoveredHealCommand(env))
	return cmd
}

// healing is one run of uncovered list or heal.
type healing struct {
	env              *command.Env
	topics           *scan.Topics
	uncovered.Filter // but for its Lane
	lanes            []topology.Lane
	since            time.Duration
	dryRun           bool
	pacer            command.Pacer
}

func (f *healing) addFlags(cmd *cobra.Command) {
	f.lanes = topology.Lanes()
	command.WordsFlag(cmd, &f.lanes, "lane", topology.Lanes(), "lanes to look through")
	cmd.Flags().DurationVar(&f.since, "since", 7*24*time.Hour, "how far back to look")
	cmd.Flags().StringVar(&f.Type, "type", "", "only events of this type")
	command.WordFlag(cmd, &f.Channel, "channel", topology.Channels(), "only events for this channel")
	command.WordFlag(cmd, &f.Reason, "reason", uncoveredReasons, "only events not covered for this reason")
	command.Bound(cmd, "since", func() bool { return f.since > 0 }, "a length of time such as 24h")
}

// uncoveredReasons are those of events that are not covered.
var uncoveredReasons = topology.ReasonsOf(topology.NotCovered)

// find finds events on the lanes that were asked for.
func (f *healing) find(ctx context.Context) (all []uncovered.Event, err error) {
	if f.topics, err = f.env.Topics(ctx); err != nil {
		return nil, err
	}
	client, err := f.env.Redis(ctx)
	if err != nil {
		return nil, err
	}
	finder := uncovered.Finder{
		Names: f.env.Config.Names(), Topics: f.topics,
		Statuses: &status.Reader{Client: client, Keys: f.env.Config.Keys()},
	}
	filter := f.Filter
	filter.Since = time.Now().Add(-f.since)
	for _, filter.Lane = range f.lanes {
		err := f.env.ShowScan("entries of the "+string(filter.Lane)+" delivery log", func(p *scan.Progress) error {
			events, err := finder.Find(ctx, filter, p)
			all = append(all, events...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func newUncoveredListCommand(env *command.Env) *cobra.Command {
	f := healing{env: env}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the events that no template was linked to, by what they have in common",
		Long: `List the events that no template was linked to, by type, channel, language and
reason, each with a sample. What has been healed since, or covered by a copy of
the same event, is left out.`,
		Example: "  meddela uncovered list\n  meddela uncovered list --lane realtime --since 1h -o json",
		RunE:    env.Loaded(f.list),
	}
	f.addFlags(cmd)
	return cmd
}

func (f *healing) list(ctx context.Context, _ []string) error {
	events, err := f.find(ctx)
	if err != nil {
		return err
	}
	groups := uncovered.Groups(events)
	if f.env.Output == command.JSON {
		return f.env.PrintJSON(map[string]any{"events": len(events), "groups": groups})
	}
	if len(groups) == 0 {
		return f.env.Printf("no events of the last %s are not covered\n", f.since)
	}
	t := command.NewTable("events", "lane", "type", "channel", "language", "reason", "last", "for instance")
	for _, g := range groups {
		t.AppendRow([]any{
			g.Events, g.Lane, wording.Abridged(g.Type), g.Channel, cmp.Or(g.Language, "-"), g.Reason,
			g.Last.Local().Format(time.DateTime), g.Sample,
		})
	}
	if err := f.env.PrintTable(t); err != nil {
		return err
	}
	return f.env.Printf("\n%s not covered. Why one is: meddela templates explain ID. "+
		"Once there is a template: meddela uncovered heal --dry-run\n", wording.Count(len(events), "event is", "events are"))
}

func newUncoveredHealCommand(env *command.Env) *cobra.Command {
	f := healing{env: env}
	cmd := &cobra.Command{
		Use:   "heal",
		Short: "Publish the events again that were not covered, and would be now",
		Long: `Publish the events again that were not covered, and would be now.

Exactly those events are published for which there is a template now, from the
events topic where they still are to the lane's redrive topic, which only
operators may write, each as a redrive of the same event:
its id and the time of its receipt stay, so that a template's ttl runs from the
first time. Repeating it is safe: an event that was published again already is
one message.`,
		Example: "  meddela uncovered heal --dry-run\n  meddela uncovered heal --type loyalty_tier_changed --rate 200",
		RunE:    env.Loaded(f.heal),
	}
	f.addFlags(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be published")
	cmd.Flags().Float64Var(&f.pacer.Rate, "rate", 0, "most events a second; 0 is no limit")
	command.Bound(cmd, "rate", func() bool { return f.pacer.Rate >= 0 }, "a positive number of events a second")
	return cmd
}

func (f *healing) heal(ctx context.Context, _ []string) error {
	events, err := f.find(ctx)
	if err != nil {
		return err
	}
	follower, err := f.env.Templates(ctx)
	if err != nil {
		return err
	}
	healer := uncovered.Healer{Names: f.env.Config.Names(), Topics: f.topics, Catalogue: follower.Snapshot(),
		Now: time.Now}
	if !f.dryRun {
		if healer.To, err = f.env.Publisher(ctx); err != nil {
			return err
		}
		healer.Pace = f.pacer.Wait
	}
	var outcome uncovered.Outcome
	err = f.env.ShowScan("events", func(p *scan.Progress) (err error) {
		outcome, err = healer.Heal(ctx, events, p)
		return err
	})
	return errors.Join(err, printHealed(f.env, &outcome))
}

func printHealed(env *command.Env, o *uncovered.Outcome) error {
	done := command.Done(o.DryRun, "", "published again")
	var b strings.Builder
	for _, ref := range slices.Sorted(maps.Keys(o.ByTemplate)) {
		fmt.Fprintf(&b, "%8d  %s, covered by %s\n", o.ByTemplate[ref], done, ref)
	}
	for _, reason := range slices.Sorted(maps.Keys(o.Left)) {
		fmt.Fprintf(&b, "%8d  left as they are: %s\n", o.Left[reason], reason)
	}
	if o.Gone > 0 {
		fmt.Fprintf(&b, "%8d  left as they are: their topic does not have them any more\n", o.Gone)
	}
	return env.Print(o, "%s%s not covered; %d %s\n", b.String(),
		wording.Count(o.Uncovered, "event was", "events were"), o.Healed, done)
}
