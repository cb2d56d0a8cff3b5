package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/topology"
)

func newStatusCommand(a *app) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "status ID...",
		GroupID: groupOperate,
		Short:   "Show the latest word on events",
		Long: `Show the latest word on events, from Redis.

An event is known as soon as the status updater has read it. The id of an event
that was published without one is <lane>-<partition>-<offset>.`,
		Example: `  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --watch
  meddela status realtime-3-1042 -o json | jq .status`,
		Args: arguments(1, -1, "one or more event ids"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := eventIDs(args)
			if err != nil {
				return err
			}
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.showStatus(cmd.Context(), ids, watch)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow the events until each has come to rest")
	return cmd
}

func eventIDs(args []string) ([]topology.EventID, error) {
	ids := make([]topology.EventID, len(args))
	for i, arg := range args {
		if ids[i] = topology.EventID(arg); !ids[i].Valid() {
			return nil, misusef("%q is no event id: it must be 1 to %d of A-Z a-z 0-9 . _ : -", abridged(arg), topology.MaxIDBytes)
		}
	}
	return ids, nil
}

// stateReader reads the status of events. ok is false for an unknown event.
type stateReader interface {
	Get(ctx context.Context, id topology.EventID) (s topology.State, ok bool, err error)
}

func (a *app) showStatus(ctx context.Context, ids []topology.EventID, watch bool) error {
	client, err := a.redis(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	states := redisStates{client, a.config.keys()}
	if watch {
		return a.watchStatus(ctx, states, ids)
	}
	return a.printStatus(ctx, states, ids)
}

// redisStates reads the public hash of an event.
type redisStates struct {
	client redis.UniversalClient
	keys   topology.Keys
}

func (r redisStates) Get(ctx context.Context, id topology.EventID) (topology.State, bool, error) {
	hash, err := r.client.HGetAll(ctx, r.keys.Event(id)).Result()
	if err != nil {
		return topology.State{}, false, fmt.Errorf("the status of %s cannot be read: %w", id, err)
	}
	return topology.ParseState(id, hash)
}

func (a *app) printStatus(ctx context.Context, states stateReader, ids []topology.EventID) error {
	var unknown []string
	for _, id := range ids {
		state, ok, err := states.Get(ctx, id)
		switch {
		case err != nil:
			return err
		case !ok:
			unknown = append(unknown, string(id))
		default:
			if err := a.printState(&state); err != nil {
				return err
			}
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("nothing is known of %s: not published, not read yet by the status updater, or older than MEDDELA_STATUS_TTL", strings.Join(unknown, ", "))
	}
	return nil
}

// watchInterval is how often Redis is asked for each event that moves.
const watchInterval = 200 * time.Millisecond

// watchStatus prints each change until every event has come to rest, or ctx
// ends, which is no error.
func (a *app) watchStatus(ctx context.Context, states stateReader, ids []topology.EventID) error {
	seen := make(map[topology.EventID]topology.Rank)
	for first := true; len(ids) > 0; first = false {
		var moving []topology.EventID
		for _, id := range ids {
			state, ok, err := states.Get(ctx, id)
			if err != nil {
				return unlessStopped(ctx, err)
			}
			if !ok && first {
				_, _ = fmt.Fprintf(a.errOut, "nothing is known of %s yet; waiting for it\n", id)
			}
			if ok && state.Rank != seen[id] {
				seen[id] = state.Rank
				if err := a.printState(&state); err != nil {
					return err
				}
			}
			if !ok || !state.Status.Final() {
				moving = append(moving, id)
			}
		}
		if ids = moving; len(ids) > 0 && sleep(ctx, watchInterval) != nil {
			return nil
		}
	}
	return nil
}

func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (a *app) printState(s *topology.State) error {
	if a.output == outputJSON {
		return a.printJSON(viewOf(s))
	}
	return a.printf("%s", a.card(s))
}
