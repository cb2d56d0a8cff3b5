package templates

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

func newTemplatesListCommand(env *command.Env) *cobra.Command {
	var all, retired bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the templates that are published",
		Long: `List the templates that are published.

Of each template the version that is live is listed: the one that covers events.
With --all also those that are kept for the jobs that were made with them, which
can be rolled back to.`,
		Example: "  meddela templates list\n  meddela templates list --retired\n  meddela templates list --all -o json",
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			return listTemplates(ctx, env, all, retired || all)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every version of every template")
	cmd.Flags().BoolVar(&retired, "retired", false, "also the templates that are retired")
	return cmd
}

// The states of a version.
const (
	stateLive       = "live"
	stateSuperseded = "superseded" // by a version published later, or back then
	stateRetired    = "retired"    // with its template
)

var stateColours = map[string]text.Color{stateLive: text.FgGreen, stateRetired: text.FgYellow}

type listedTemplate struct {
	Name            string            `json:"name"`
	Version         string            `json:"version"`
	State           string            `json:"state"`
	Channel         topology.Channel  `json:"channel"`
	Types           []string          `json:"types"`
	Languages       []string          `json:"languages"`
	DefaultLanguage string            `json:"default_language"`
	When            string            `json:"when,omitempty"`
	TTL             topology.Duration `json:"ttl,omitempty"`
	PublishedAt     time.Time         `json:"published_at"`
}

func listTemplates(ctx context.Context, env *command.Env, all, retired bool) error {
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	follower, err := env.Templates(ctx)
	if err != nil {
		return err
	}
	live := follower.Snapshot()
	list := []listedTemplate{}
	for entry := range live.All() {
		r, state := entry.Record(), stateSuperseded
		if latest, _ := live.Latest(r.Name); latest == entry {
			state = stateLive
			if r.Retired {
				state = stateRetired
			}
		}
		if all || state == stateLive || retired && state == stateRetired {
			list = append(list, listedTemplate{
				Name: r.Name, Version: r.Version, State: state, Channel: r.Channel,
				Types: r.Types, Languages: entry.Languages().Names, DefaultLanguage: r.DefaultLanguage,
				When: r.When, TTL: r.TTL, PublishedAt: r.PublishedAt,
			})
		}
	}
	return printTemplates(env, list)
}

func printTemplates(env *command.Env, list []listedTemplate) error {
	columns := []any{"name", "version", "channel", "types", "languages", "state", "published"}
	when := slices.ContainsFunc(list, func(l listedTemplate) bool { return l.When != "" })
	if when {
		columns = append(columns, "when")
	}
	t := command.NewTable(columns...)
	for i := range list {
		l, state := &list[i], list[i].State
		if colour, ok := stateColours[state]; ok {
			state = env.Paint(colour, state)
		}
		others := slices.DeleteFunc(slices.Clone(l.Languages), func(tag string) bool { return tag == l.DefaultLanguage })
		row := []any{
			l.Name, l.Version, l.Channel, strings.Join(l.Types, " "),
			strings.Join(append([]string{l.DefaultLanguage}, others...), " "),
			command.Painted(state), wording.Moment(l.PublishedAt),
		}
		if when {
			row = append(row, strings.Join(strings.Fields(l.When), " "))
		}
		t.AppendRow(row)
	}
	return env.PrintList(list, t, "", "no templates are published: see meddela templates publish --help")
}
