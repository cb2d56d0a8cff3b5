package suppressions

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func newAdd(s *suppressions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add ADDRESS...",
		Short: "Send nothing to addresses any more",
		Long: `Send nothing to addresses any more, for good or until a time.

What is suppressed for as long or longer already stays as it is: remove it
first to have it for less.`,
		Example: "  meddela suppressions add kim@example.com --reason unsubscribed\n  meddela suppressions add +46701234567 --channel sms --for 720h",
		Args:    command.Arguments(1, -1, "one or more addresses"),
		PreRunE: s.parseAddresses,
		RunE:    s.run(s.add),
	}
	s.addChannelFlag(cmd, topology.Email, "channel of the addresses: email, sms or push")
	s.addCauseFlag(cmd, topology.Manual, "unsubscribed, bounced, complaint or manual")
	s.addUntilFlags(cmd)
	return cmd
}

func (s *suppressions) add(ctx context.Context, list *suppress.List) error {
	added, err := list.Add(ctx, s.subjects, s.cause, s.end)
	if err != nil {
		return err
	}
	view := struct {
		Channel topology.Channel `json:"channel"`
		Reason  topology.Cause   `json:"reason"`
		Until   time.Time        `json:"until,omitzero"`
		Added   int              `json:"added"`
		Known   int              `json:"known"`
	}{s.channel, s.cause, s.end, added, len(s.subjects) - added}
	return s.Print(view, "%s suppressed %s, %d for as long already\n", wording.Count(added, "address", "addresses"),
		until(s.end), view.Known)
}

func newRemove(s *suppressions) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove ADDRESS...",
		Short:   "Send to addresses again",
		Long:    "Send to addresses again. What has been ignored meanwhile is not sent afterwards.",
		Example: "  meddela suppressions remove kim@example.com",
		Args:    command.Arguments(1, -1, "one or more addresses"),
		PreRunE: s.parseAddresses,
		RunE:    s.run(s.remove),
	}
	s.addChannelFlag(cmd, topology.Email, "channel of the addresses: email, sms or push")
	return cmd
}

func (s *suppressions) remove(ctx context.Context, list *suppress.List) error {
	removed, err := list.Remove(ctx, s.subjects)
	if err != nil {
		return err
	}
	unknown := len(s.subjects) - removed
	return s.Print(map[string]int{"removed": removed, "unknown": unknown}, "%s removed, %d not suppressed\n",
		wording.Count(removed, "address", "addresses"), unknown)
}

func newPrune(s *suppressions) *cobra.Command {
	return &cobra.Command{
		Use:   "prune",
		Short: "Take from the topic what has ended",
		Long: `Take from the topic what has ended. What is suppressed until a time stays on the
topic and in Redis after it, without effect; where much is, run this now and then.`,
		Example: "  meddela suppressions prune",
		RunE: s.run(func(ctx context.Context, list *suppress.List) error {
			pruned, err := list.Prune(ctx)
			if err != nil {
				return err
			}
			return s.Print(map[string]int{"pruned": pruned}, "%s that had ended taken from the topic\n",
				wording.Count(pruned, "suppression", "suppressions"))
		}),
	}
}

func newRestore(s *suppressions) *cobra.Command {
	return &cobra.Command{
		Use:   "restore",
		Short: "Write to the topic what only Redis has",
		Long: `Write to the topic what only Redis has, after the topic was lost, or made anew.
Nothing is sent before, and repeating it does no harm.

Hashes are taken over as they are, so MEDDELA_SUPPRESS_PEPPER must be the one that
they were made with.`,
		Example: "  meddela suppressions restore",
		RunE: s.with(func(ctx context.Context, list *suppress.List, keep func()) error {
			restored, err := list.Restore(ctx)
			if err != nil {
				return fmt.Errorf("stopped after %s: %w", wording.Count(restored, "suppression", "suppressions"), err)
			}
			keep()
			if err := list.CatchUp(ctx); err != nil {
				return err
			}
			return s.Print(map[string]int{"restored": restored}, "%s written to the topic\n",
				wording.Count(restored, "suppression", "suppressions"))
		}),
	}
}
