// Package suppressions has the commands about addresses that nothing is sent to.
package suppressions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// New makes the command suppressions.
func New(env *command.Env) *cobra.Command {
	flags := func() *suppressions { return &suppressions{Env: env} }
	cmd := command.Parent(&cobra.Command{
		Use:     "suppressions",
		GroupID: command.GroupOperate,
		Short:   "Say which addresses nothing is sent to",
		Long: `Say which addresses nothing is sent to, by channel and for a reason. A message to
such an address becomes ignored, with reason suppressed.

Redis has hashes of addresses only, so that a list of entries names nobody. They
are made with a secret, MEDDELA_SUPPRESS_PEPPER, if there is one: it must be the
one that the deliverers have.`,
	})
	cmd.AddCommand(newAdd(flags()), newRemove(flags()), newCheck(flags()))
	cmd.AddCommand(newList(flags()), newImport(flags()))
	return cmd
}

// suppressions is one run of a command about the suppression list, with what its
// flags say.
type suppressions struct {
	*command.Env

	channel, cause string
	until          string
	length         time.Duration
	// end is when what --until or --for says is; zero for never.
	end time.Time
}

// run makes a command of what it does with the list, in a Redis that has just
// been seen to work. What the flags say is held against what they may before.
func (s *suppressions) run(
	do func(context.Context, *suppress.List, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		if err = s.check(); err != nil {
			return err
		}
		if s.end, err = command.EndOf(s.until, s.length, time.Now()); err != nil {
			return err
		}
		if err = s.Load(cmd); err != nil {
			return err
		}
		client, err := s.Redis(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		list := &suppress.List{Client: client, Keys: s.Config.Keys(), Hasher: s.Config.Hasher()}
		return do(cmd.Context(), list, args)
	}
}

func (s *suppressions) addChannelFlag(cmd *cobra.Command, value, usage string) {
	cmd.Flags().StringVar(&s.channel, "channel", value, usage)
	command.Complete(cmd, "channel", wording.Texts(address.Channels())...)
}

func (s *suppressions) addCauseFlag(cmd *cobra.Command, value, usage string) {
	cmd.Flags().StringVar(&s.cause, "reason", value, usage)
	command.Complete(cmd, "reason", wording.Texts(suppress.Causes())...)
}

func (s *suppressions) addUntilFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.until, "until", "",
		"when it ends: a date, as of midnight UTC, or a time such as 2027-01-31T08:00:00Z; default: never")
	cmd.Flags().DurationVar(&s.length, "for", 0, "how long it lasts, such as 720h, instead of --until")
}

func (s *suppressions) check() error {
	if s.channel != "" && !slices.Contains(address.Channels(), topology.Channel(s.channel)) {
		return command.Misusef("--channel is %q: use %s", wording.Abridged(s.channel),
			wording.OrList(wording.Texts(address.Channels())))
	}
	if s.cause == "" {
		return nil
	}
	if _, err := suppress.ParseCause(s.cause); err != nil {
		return command.Misusef("--reason is %q: %v", wording.Abridged(s.cause), err)
	}
	return nil
}

// subjects are the addresses of a command line.
func (s *suppressions) subjects(addresses []string) []suppress.Subject {
	all := make([]suppress.Subject, len(addresses))
	for i, address := range addresses {
		all[i] = suppress.Subject{Channel: topology.Channel(s.channel), Address: address}
	}
	return all
}

// explain says which flag to look at.
func (s *suppressions) explain(err error) error {
	switch {
	case errors.As(err, new(suppress.PepperError)):
		return fmt.Errorf("%w: correct MEDDELA_SUPPRESS_PEPPER", err)
	case errors.Is(err, suppress.ErrAddress):
		return command.Misusef("an argument is no address of channel %s: correct it, or --channel", s.channel)
	}
	return err
}

// until is how long an address is suppressed, for people.
func until(end time.Time) string {
	if end.IsZero() {
		return "for good"
	}
	return "until " + command.UntilText(end)
}
