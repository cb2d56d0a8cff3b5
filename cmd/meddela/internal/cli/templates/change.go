package templates

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// templatesChange is one run of a command that changes which templates are
// live: read what is live, plan, show, write, and see that it is so.
type templatesChange struct {
	env     *command.Env
	dryRun  bool
	diff    bool
	timeout time.Duration
	view    changesView
}

func (c *templatesChange) addFlags(cmd *cobra.Command, dryRun string) {
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, dryRun)
	cmd.Flags().DurationVar(&c.timeout, "timeout", 30*time.Second, "how long Kafka may take")
}

func (c *templatesChange) run(ctx context.Context, plan func(live *catalogue.Catalogue) ([]authoring.Change, error), summary func() error) error {
	if c.timeout <= 0 {
		return command.Misusef("--timeout is %s: it must be a length of time such as 30s", c.timeout)
	}
	connection, err := c.env.Kafka(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// The follower's fetches wait at the broker: writes have a transport of
	// their own.
	reading := connection.Transport()
	defer reading.CloseIdleConnections()
	follower, stop, err := command.FollowCatalogue(ctx, c.env, connection, reading)
	if err != nil {
		return err
	}
	defer stop()
	live := follower.Catalogue()
	changes, err := plan(live)
	if err != nil {
		return err
	}
	c.view.fill(changes, authoring.Gaps(live, changes), c.diff)
	if err := c.printChanges(); err != nil {
		return err
	}
	if !c.dryRun {
		err = c.write(ctx, connection, follower, changes)
	} else {
		c.view.Published, err = authoring.Write(ctx, command.WriteNothing{}, c.env.Config.Names().Templates(), changes, time.Now())
	}
	return c.finish(err, summary)
}

// finish prints what has come of it, also where that is not all that was asked
// for.
func (c *templatesChange) finish(err error, summary func() error) error {
	if c.view.Published == nil {
		c.view.Published = []topology.TemplateRef{}
	}
	c.view.DryRun = c.dryRun
	printed := error(nil)
	switch {
	case c.env.Output == command.JSON:
		printed = c.env.PrintJSON(&c.view)
	case err == nil:
		printed = summary()
	}
	if err == nil {
		err = printed
	}
	return err
}

// write makes the changes live and reads them back.
func (c *templatesChange) write(ctx context.Context, connection producer.Connection, follower *catalogue.Follower, changes []authoring.Change) error {
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	writer := &producer.Publisher{Addr: connection.Addr(), Transport: transport, Log: c.env.Log}
	started := time.Now()
	written, err := authoring.Write(ctx, writer, c.env.Config.Names().Templates(), changes, started)
	c.view.Published = written
	if err != nil || len(written) == 0 {
		return err
	}
	acknowledged := time.Now()
	if err := follower.CatchUp(ctx); err != nil {
		return fmt.Errorf("%s published, but it was not seen that they are live: %w", wording.Count(len(written), "template is", "templates are"), err)
	}
	c.view.WrittenMillis = acknowledged.Sub(started).Milliseconds()
	c.view.ReadBackMillis = time.Since(acknowledged).Milliseconds()
	if overtaken := authoring.Overtaken(follower.Catalogue(), changes); len(overtaken) > 0 {
		return overtakenError(overtaken)
	}
	return nil
}

func overtakenError(overtaken []authoring.Change) error {
	var refs []topology.TemplateRef
	for i := range overtaken {
		refs = append(refs, overtaken[i].Ref())
	}
	return fmt.Errorf("written, but not live: %v: somebody else has published since: see meddela templates list --retired", refs)
}
