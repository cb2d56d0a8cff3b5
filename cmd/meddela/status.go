package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
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

// stateView is a status as --output json shows it: the fields of the hash in
// Redis, with times in RFC 3339.
type stateView struct {
	EventID           topology.EventID     `json:"event_id"`
	Status            topology.Status      `json:"status"`
	Label             string               `json:"label"`
	Final             bool                 `json:"final"`
	Reason            topology.Reason      `json:"reason,omitempty"`
	Detail            string               `json:"detail,omitempty"`
	Lane              topology.Lane        `json:"lane,omitempty"`
	Type              string               `json:"type,omitempty"`
	Channel           topology.Channel     `json:"channel,omitempty"`
	Template          topology.TemplateRef `json:"template,omitempty"`
	Generation        int                  `json:"generation"`
	Attempt           int                  `json:"attempt"`
	Provider          string               `json:"provider,omitempty"`
	ProviderMessageID string               `json:"provider_message_id,omitempty"`
	Source            topology.Source      `json:"source,omitempty"`
	PendingAt         string               `json:"pending_at,omitempty"`
	PendingDeliveryAt string               `json:"pending_delivery_at,omitempty"`
	ScheduledAt       string               `json:"scheduled_at,omitempty"`
	FinalAt           string               `json:"final_at,omitempty"`
	UpdatedAt         string               `json:"updated_at,omitempty"`
}

func viewOf(s *topology.State) stateView {
	return stateView{
		EventID: s.EventID, Status: s.Status, Label: s.Status.Label(), Final: s.Status.Final(),
		Reason: s.Reason, Detail: s.Detail, Lane: s.Lane, Type: s.Type, Channel: s.Channel,
		Template: s.Template, Generation: s.Generation, Attempt: s.Attempt,
		Provider: s.Provider, ProviderMessageID: s.ProviderMessageID, Source: s.Source,
		PendingAt: wireTime(s.PendingAt), PendingDeliveryAt: wireTime(s.PendingDeliveryAt),
		ScheduledAt: wireTime(s.Scheduled), FinalAt: wireTime(s.FinalAt()), UpdatedAt: wireTime(s.UpdatedAt),
	}
}

// wireTime writes a time as the topics do; no time is an empty text.
func wireTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(topology.TimeFormat)
}

// card is a status for people.
func (a *app) card(s *topology.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", a.paint(statusColour(s.Status), "● "+s.Status.Label()), s.EventID)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-18s%s\n", name, value)
		}
	}
	field("reason", string(s.Reason))
	field("detail", s.Detail)
	field("lane", string(s.Lane))
	field("type", s.Type)
	field("channel", string(s.Channel))
	field("template", string(s.Template))
	field("provider", strings.TrimSpace(s.Provider+" "+s.ProviderMessageID))
	if s.Attempt > 1 || s.Generation > 0 {
		field("attempt", fmt.Sprintf("%d of generation %d", s.Attempt, s.Generation))
	}
	field("source", string(s.Source))
	field("scheduled", wireTime(s.Scheduled))
	for _, stage := range stagesOf(s) {
		field(stage.name, stage.text())
	}
	return b.String()
}

// stage is a status that the event passed.
type stage struct {
	name  string
	at    time.Time
	since time.Duration // since the stage before; 0 for the first
}

// stagesOf lists the stages passed, in their order.
func stagesOf(s *topology.State) []stage {
	var stages []stage
	add := func(status topology.Status, at time.Time) {
		if at.IsZero() {
			return
		}
		next := stage{name: string(status), at: at}
		if len(stages) > 0 {
			next.since = at.Sub(stages[len(stages)-1].at)
		}
		stages = append(stages, next)
	}
	add(topology.Pending, s.PendingAt)
	add(topology.PendingDelivery, s.PendingDeliveryAt)
	add(s.Status, s.FinalAt())
	return stages
}

func (s *stage) text() string {
	if s.since == 0 {
		return wireTime(s.at)
	}
	return fmt.Sprintf("%s  +%s", wireTime(s.at), s.since)
}

func statusColour(s topology.Status) text.Color {
	switch s {
	case topology.Sent:
		return text.FgGreen
	case topology.DeliveryError:
		return text.FgRed
	case topology.NotCovered, topology.Expired:
		return text.FgYellow
	case topology.Ignored:
		return text.FgMagenta
	default:
		return text.FgCyan
	}
}
