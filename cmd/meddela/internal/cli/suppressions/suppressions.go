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

// suppressions is one run of a command about the suppression list: what all of
// them have, and what each has flags for.
type suppressions struct {
	*command.Env

	channel, cause string
	until          string
	length         time.Duration
}

// open returns the list in a Redis that has just been seen to work, until done
// is called.
func (s *suppressions) open(ctx context.Context) (list *suppress.List, done func(), err error) {
	client, err := s.Redis(ctx)
	if err != nil {
		return nil, nil, err
	}
	list = &suppress.List{Client: client, Keys: s.Config.Keys(), Hasher: s.Config.Hasher()}
	return list, func() { _ = client.Close() }, nil
}

// prepare holds what the flags say against what they may, and reads the
// configuration. end is when what --until or --for says is; zero for never.
func (s *suppressions) prepare(cmd *cobra.Command) (end time.Time, err error) {
	if err = s.check(); err != nil {
		return end, err
	}
	if end, err = command.EndOf(s.until, s.length, time.Now()); err != nil {
		return end, err
	}
	return end, s.Load(cmd)
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

// check holds what the flags say against what they may.
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
