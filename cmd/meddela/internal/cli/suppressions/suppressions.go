// Package suppressions has the commands about addresses that nothing is sent to.
package suppressions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
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

// suppressions is one run of a command, with what its flags say.
type suppressions struct {
	*command.Env

	channel  topology.Channel
	cause    suppress.Cause
	until    string
	length   time.Duration
	end      time.Time          // when what --until or --for says is; zero for never
	subjects []suppress.Subject // the addresses of the command line
	file     io.Reader          // of addresses
	size     int64              // of the file; 0 when it is not known
}

// parseAddresses checks the addresses, and when it is to end.
func (s *suppressions) parseAddresses(_ *cobra.Command, args []string) (err error) {
	for _, one := range args {
		if _, ok := address.Normalize(s.channel, one); !ok {
			return command.Misusef("an argument is no address of channel %s: correct it, or --channel", s.channel)
		}
		s.subjects = append(s.subjects, suppress.Subject{Channel: s.channel, Address: one})
	}
	s.end, err = command.EndOf(s.until, s.length, time.Now())
	return err
}

// run makes a command of what it does with the list.
func (s *suppressions) run(do func(context.Context, *suppress.List) error) func(*cobra.Command, []string) error {
	return s.Loaded(func(ctx context.Context, _ []string) error {
		client, err := s.Redis(ctx)
		if err != nil {
			return err
		}
		err = do(ctx, &suppress.List{Client: client, Keys: s.Config.Keys(), Hasher: s.Config.Hasher()})
		if errors.Is(err, suppress.ErrPepper) {
			err = fmt.Errorf("%w: correct MEDDELA_SUPPRESS_PEPPER", err)
		}
		return err
	})
}

func (s *suppressions) addChannelFlag(cmd *cobra.Command, value topology.Channel, usage string) {
	s.channel = value
	command.WordFlag(cmd, &s.channel, "channel", address.Channels(), usage)
}

func (s *suppressions) addCauseFlag(cmd *cobra.Command, value suppress.Cause, usage string) {
	s.cause = value
	command.WordFlag(cmd, &s.cause, "reason", suppress.Causes(), usage)
}

func (s *suppressions) addUntilFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.until, "until", "",
		"when it ends: a date, as of midnight UTC, or a time such as 2027-01-31T08:00:00Z; default: never")
	cmd.Flags().DurationVar(&s.length, "for", 0, "how long it lasts, such as 720h, instead of --until")
}

// until is how long an address is suppressed, for people.
func until(end time.Time) string {
	if end.IsZero() {
		return "for good"
	}
	return "until " + command.UntilText(end)
}
