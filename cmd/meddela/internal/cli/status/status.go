// Package status has the command that shows what became of events.
package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// New makes the command status.
func New(env *command.Env) *cobra.Command {
	var watch, history bool
	var at time.Time
	var then string
	var ids []topology.EventID
	cmd := &cobra.Command{
		Use:     "status ID...",
		GroupID: command.GroupOperate,
		Short:   "Show the latest word on events",
		Long: `Show the latest word on events, from Redis. With --history it is what the topics
have about them, record by record, with offsets: received, matched, held, each
attempt, its end, and notices that wait. With --at it is the status of that time.
For these one partition is read, for the time that Redis knows; of an event that
Redis does not know, all that the partition which its id chooses has.

An event is known as soon as the status updater has read it. The id of an event
that was published without one is <lane>-<partition>-<offset>; that of a CloudEvent
is <source>#<id>, such as /shop#1001.`,
		Example: `  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --watch
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --history
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --at 2026-12-01T08:00:00Z
  meddela status realtime-3-1042 -o json | jq .status`,
		Args: command.Arguments(1, -1, "one or more event ids"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			if ids, err = eventIDs(args); err == nil && watch && (history || then != "") {
				err = command.Misusef("--watch is given with --history or --at: it follows Redis, these read the topics")
			} else if err == nil && then != "" {
				if at, err = suppress.ParseTime(then); err != nil {
					err = command.Misusef("--at is %q: %v", wording.Abridged(then), err)
				}
			}
			return err
		},
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			client, err := env.Redis(ctx)
			if err != nil {
				return err
			}
			reader := &status.Reader{Client: client, Keys: env.Config.Keys()}
			if history || !at.IsZero() {
				return printHistories(ctx, env, reader, ids, at, history)
			}
			if watch {
				return watchStatus(ctx, env, reader.GetMany, ids)
			}
			unknown, _, err := printChanges(ctx, env, reader.GetMany, ids, make(map[topology.EventID]topology.Rank))
			if err == nil && len(unknown) > 0 {
				err = fmt.Errorf("nothing is known of %s: not published, not read yet by the status updater, or older than MEDDELA_STATUS_TTL; a CloudEvent is known as SOURCE#ID", strings.Join(wording.Texts(unknown), ", "))
			}
			return err
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow the events until each has come to rest")
	cmd.Flags().BoolVar(&history, "history", false, "show every record about the events")
	cmd.Flags().StringVar(&then, "at", "", "show the status as it was at a time, such as 2026-12-01T08:00:00Z")
	cmd.AddCommand(newVerifyCommand(env), newRebuildCommand(env))
	return cmd
}

// eventIDs reads ids as they are typed.
func eventIDs(args []string) (ids []topology.EventID, err error) {
	for _, arg := range args {
		id := topology.EventID(arg)
		if source, own := id.Split(); source != "" && own != "" && !id.Valid() {
			id = topology.QualifiedID(source, own) // as typed, without what is percent-encoded
		}
		if ids = append(ids, id); !id.Valid() {
			return nil, command.Misusef("%q is no event id: it must be 1 to %d of A-Z a-z 0-9 . _ : -, or a CloudEvent's SOURCE#ID",
				wording.Abridged(arg), topology.MaxIDBytes)
		}
	}
	return ids, nil
}

// reading reads the status of events, with an answer for each id.
type reading func(ctx context.Context, ids []topology.EventID) ([]status.Answer, error)

// printChanges prints what has changed since the ranks that were seen. It returns the events of which nothing is
// known, when it first asks for them, and those that have not come to rest.
func printChanges(ctx context.Context, env *command.Env, read reading, ids []topology.EventID,
	seen map[topology.EventID]topology.Rank) (unknown, moving []topology.EventID, err error) {
	answers, err := read(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for i, id := range ids {
		answer := &answers[i]
		before, looked := seen[id]
		seen[id] = answer.State.Rank
		switch {
		case answer.Err != nil:
			return nil, nil, answer.Err
		case !answer.Found && !looked:
			unknown = append(unknown, id)
		case answer.Found && (answer.State.Rank != before || !looked):
			if err := show.Print(env, &answer.State); err != nil {
				return nil, nil, err
			}
		}
		if !answer.State.Status.Final() {
			moving = append(moving, id)
		}
	}
	return unknown, moving, nil
}

// watchInterval is how often Redis is asked for each event that moves.
const watchInterval = 200 * time.Millisecond

// watchStatus prints each change until every event has come to rest, or ctx ends, which is no error.
func watchStatus(ctx context.Context, env *command.Env, read reading, ids []topology.EventID) error {
	seen := make(map[topology.EventID]topology.Rank)
	for {
		unknown, moving, err := printChanges(ctx, env, read, ids, seen)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, id := range unknown {
			_, _ = fmt.Fprintf(env.ErrOut, "nothing is known of %s yet; waiting for it\n", id)
		}
		if ids = moving; len(ids) == 0 || !retry.Sleep(ctx, watchInterval) {
			return nil
		}
	}
}
