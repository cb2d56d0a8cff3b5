package suppressions

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func newCheck(s *suppressions) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check ADDRESS",
		Short:   "Say whether an address is suppressed, and why",
		Long:    "Say whether an address is suppressed, why, since when and until when.",
		Example: "  meddela suppressions check kim@example.com\n  meddela suppressions check +46701234567 --channel sms -o json | jq .suppressed",
		Args:    command.Arguments(1, 1, "one address"),
		PreRunE: s.parseAddresses,
		RunE:    s.run(s.checkAddress),
	}
	s.addChannelFlag(cmd, topology.Email, "channel of the address: email, sms or push")
	return cmd
}

func (s *suppressions) checkAddress(ctx context.Context, list *suppress.List) error {
	found, err := list.Find(ctx, s.subjects)
	if err != nil {
		return err
	}
	e := found[0]
	view := struct {
		Suppressed bool `json:"suppressed"`
		*topology.Suppression
	}{e != nil, e}
	if e == nil {
		return s.Print(view, "not suppressed on channel %s\n", s.channel)
	}
	return s.Print(view, "suppressed on channel %s: %s, since %s, %s\n", e.Channel, e.Cause,
		wording.Moment(e.Added), until(e.Until))
}

func newList(s *suppressions) *cobra.Command {
	entries := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Count the suppressed addresses, or list their hashes",
		Long: `Count the suppressed addresses by channel and reason, or list each with its hash.

The list is read while others use it: what changes meanwhile may be missed, or
come twice.`,
		Example: "  meddela suppressions list\n  meddela suppressions list --entries --reason bounced -o json",
		RunE: s.run(func(ctx context.Context, list *suppress.List) error {
			if entries {
				return s.listEntries(ctx, list)
			}
			return s.listCounts(ctx, list)
		}),
	}
	s.addChannelFlag(cmd, "", "only of this channel")
	s.addCauseFlag(cmd, "", "only for this reason")
	cmd.Flags().BoolVar(&entries, "entries", false, "list every entry, in no order; in JSON, one a line")
	return cmd
}

// wanted reports whether the flags ask for a channel's entries for a cause.
func (s *suppressions) wanted(channel topology.Channel, cause topology.Cause) bool {
	return (s.channel == "" || s.channel == channel) && (s.cause == "" || s.cause == cause)
}

func (s *suppressions) listCounts(ctx context.Context, list *suppress.List) error {
	all, err := list.Counts(ctx)
	if err != nil {
		return err
	}
	counts, total := []suppress.Count{}, 0
	for _, c := range all {
		if s.wanted(c.Channel, c.Cause) {
			counts = append(counts, c)
			total += c.Addresses
		}
	}
	t := command.NewTable("channel", "reason", "addresses", "of them until a time")
	for _, c := range counts {
		t.AppendRow([]any{c.Channel, c.Cause, c.Addresses, c.Ending})
	}
	foot := "\n" + wording.Count(total, "address is", "addresses are") + " suppressed\n"
	return s.PrintList(map[string]any{"addresses": total, "counts": counts}, t, foot, "no addresses are suppressed")
}

// listEntries prints a line at a time: there may be millions.
func (s *suppressions) listEntries(ctx context.Context, list *suppress.List) error {
	return list.Walk(ctx, func(entries []topology.Suppression) error {
		for i := range entries {
			e := &entries[i]
			if !s.wanted(e.Channel, e.Cause) {
				continue
			}
			if err := s.Print(e, "%s  %-7s %-12s  %s  %s\n", e.Hash, e.Channel, e.Cause, wording.Moment(e.Added),
				until(e.Until)); err != nil {
				return err
			}
		}
		return nil
	})
}
