package templates

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

type pruning struct {
	pruneView
	env       *command.Env
	olderThan time.Duration
	timeout   time.Duration
}

type pruneView struct {
	DryRun bool               `json:"dry_run"`
	Pruned []authoring.Idle   `json:"pruned"`
	Kept   []authoring.Needed `json:"kept"` // old enough, but needed
}

func newTemplatesPruneCommand(env *command.Env) *cobra.Command {
	p := pruning{env: env}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Take away old versions of templates that no job can need",
		Long: `Take away old versions of templates that no job can need.

A version is taken away when it has not been live for longer than --older-than,
and no job refers to it: the jobs of both lanes that wait to be sent, also for
later, and all dead letters are looked through. It cannot be rolled back to
after that; publishing its folder again brings it back.`,
		Example: "  meddela templates prune --dry-run\n  meddela templates prune --older-than 720h",
		RunE:    env.Loaded(p.run),
	}
	cmd.Flags().DurationVar(&p.olderThan, "older-than", 7*24*time.Hour,
		"how long a version must not have been live, at least 1h")
	cmd.Flags().BoolVar(&p.DryRun, "dry-run", false, "only say what would be taken away")
	cmd.Flags().DurationVar(&p.timeout, "timeout", 10*time.Minute, "how long looking through the jobs may take")
	command.Bound(cmd, "older-than", func() bool { return p.olderThan >= authoring.MinPruneAge }, "at least "+
		authoring.MinPruneAge.String()+", for roles that still match by what they read before")
	return cmd
}

func (p *pruning) run(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	follower, err := p.env.Templates(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	var references map[topology.TemplateRef]int64
	if len(authoring.PlanPrune(follower.Snapshot(), p.olderThan, started)) > 0 {
		topics, err := p.env.Topics(ctx)
		if err != nil {
			return err
		}
		err = p.env.ShowScan("jobs", func(progress *scan.Progress) (err error) {
			references, err = authoring.References(ctx, topics, p.env.Config.Names(), progress)
			return err
		})
		if err != nil {
			return err
		}
	}
	// Somebody may have published since: what is live now counts.
	if err := follower.CatchUp(ctx); err != nil {
		return err
	}
	live := follower.Snapshot()
	p.Pruned, p.Kept = authoring.Sift(live, authoring.PlanPrune(live, p.olderThan, started), references)
	if !p.DryRun && len(p.Pruned) > 0 {
		if err := p.write(ctx, follower); err != nil {
			return err
		}
	}
	return p.print()
}

// write takes versions away, and sees that nobody has made one live at the same moment.
func (p *pruning) write(ctx context.Context, follower *catalogue.Follower) error {
	writer, err := p.env.Publisher(ctx)
	if err != nil {
		return err
	}
	before := follower.Snapshot()
	if err := authoring.Prune(ctx, writer, p.env.Config.Names().Templates(), p.Pruned); err != nil {
		return fmt.Errorf("some versions are perhaps taken away: do the same again, which is safe: %w", err)
	}
	if err := follower.CatchUp(ctx); err != nil {
		return err
	}
	for _, u := range p.Pruned {
		name, _ := u.Ref.Split()
		was, _ := before.Latest(name)
		is, known := follower.Snapshot().Latest(name)
		if known && is.Ref() != was.Ref() {
			return fmt.Errorf("%s was published while its old versions were taken away, "+
				"and %s is what is left: publish it again", name, is.Ref())
		}
	}
	return nil
}

func (p *pruning) print() error {
	done := command.Done(p.DryRun, "", "taken away")
	var b strings.Builder
	for _, u := range p.Pruned {
		fmt.Fprintf(&b, "%s  %s, not live since %s\n", done, u.Ref, wording.Moment(u.Since))
	}
	for _, k := range p.Kept {
		why := "keeps its template retired"
		if k.Jobs > 0 {
			why = wording.Count(int(k.Jobs), "job refers", "jobs refer") + " to it"
		}
		fmt.Fprintf(&b, "kept  %s: %s\n", k.Ref, why)
	}
	return p.env.Print(&p.pruneView, "%s%s %s, %d kept, of those not live for %s\n", b.String(),
		wording.Count(len(p.Pruned), "version", "versions"), done, len(p.Kept), wording.Length(p.olderThan))
}
