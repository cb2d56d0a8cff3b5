package suppressions

import (
	"context"
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
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := s.prepare(cmd)
			if err != nil {
				return err
			}
			return s.add(cmd.Context(), args, end)
		},
	}
	s.addChannelFlag(cmd, string(topology.Email), "channel of the addresses: email, sms or push")
	s.addCauseFlag(cmd, string(suppress.Manual), "unsubscribed, bounced, complaint or manual")
	s.addUntilFlags(cmd)
	return cmd
}

func (s *suppressions) add(ctx context.Context, addresses []string, end time.Time) error {
	list, done, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	added, err := list.Add(ctx, s.subjects(addresses), suppress.Cause(s.cause), end)
	if err != nil {
		return s.explain(err)
	}
	if s.Output == command.JSON {
		return s.PrintJSON(struct {
			Channel string    `json:"channel"`
			Reason  string    `json:"reason"`
			Until   time.Time `json:"until,omitzero"`
			Added   int       `json:"added"`
			Known   int       `json:"known"`
		}{s.channel, s.cause, end, added, len(addresses) - added})
	}
	how := "for good"
	if !end.IsZero() {
		how = "until " + command.UntilText(end)
	}
	return s.Printf("%s suppressed %s, %d for as long already\n", wording.Count(added, "address", "addresses"), how,
		len(addresses)-added)
}

func newRemove(s *suppressions) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove ADDRESS...",
		Short:   "Send to addresses again",
		Long:    "Send to addresses again. What has been ignored meanwhile is not sent afterwards.",
		Example: "  meddela suppressions remove kim@example.com",
		Args:    command.Arguments(1, -1, "one or more addresses"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := s.prepare(cmd); err != nil {
				return err
			}
			return s.remove(cmd.Context(), args)
		},
	}
	s.addChannelFlag(cmd, string(topology.Email), "channel of the addresses: email, sms or push")
	return cmd
}

func (s *suppressions) remove(ctx context.Context, addresses []string) error {
	list, done, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	removed, err := list.Remove(ctx, s.subjects(addresses))
	if err != nil {
		return s.explain(err)
	}
	if s.Output == command.JSON {
		return s.PrintJSON(map[string]int{"removed": removed, "unknown": len(addresses) - removed})
	}
	return s.Printf("%s removed, %d not suppressed\n", wording.Count(removed, "address", "addresses"),
		len(addresses)-removed)
}
