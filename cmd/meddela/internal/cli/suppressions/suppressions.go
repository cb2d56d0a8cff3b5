// Package suppressions has the commands about addresses that nothing is sent to.
package suppressions

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
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

What is kept are hashes of addresses only, so that a list of entries names nobody.
They are made with a secret, MEDDELA_SUPPRESS_PEPPER, which must be the one that
the deliverers have. They are on the topic suppressions; Redis has a copy, which
makes itself anew when it is lost, and without which nothing is sent.`,
	})
	cmd.AddCommand(newAdd(flags()), newRemove(flags()), newCheck(flags()))
	cmd.AddCommand(newList(flags()), newImport(flags()), newPrune(flags()), newRestore(flags()))
	return cmd
}

// suppressions is one run of a command, with what its flags say.
type suppressions struct {
	*command.Env

	channel  topology.Channel
	cause    topology.Cause
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
		if _, ok := address.Normalize(s.channel, one, s.Config.Recipient.PhoneRegion); !ok {
			return command.Misusef("an argument is no address of channel %s: correct it, or --channel", s.channel)
		}
		s.subjects = append(s.subjects, suppress.Subject{Channel: s.channel, Address: one})
	}
	s.end, err = command.EndOf(s.until, s.length, time.Now())
	return err
}

// run makes a command of what it does with the list, whose copy is kept meanwhile.
func (s *suppressions) run(do func(context.Context, *suppress.List) error) func(*cobra.Command, []string) error {
	return s.with(func(ctx context.Context, list *suppress.List, keep func()) error {
		keep()
		if err := list.CatchUp(ctx); err != nil {
			return err
		}
		return do(ctx, list)
	})
}

// with makes a command of what it does with the list, and a function that begins to keep
// the copy.
func (s *suppressions) with(
	do func(context.Context, *suppress.List, func()) error,
) func(*cobra.Command, []string) error {
	return s.Loaded(func(ctx context.Context, _ []string) error {
		if s.Config.Recipient.Pepper == "" {
			return config.Faults{"MEDDELA_SUPPRESS_PEPPER is not set: addresses are hashed with it. " +
				"Set it to what the deliverers have; if there is none yet, make one, such as with `openssl rand -base64 32`"}
		}
		client, err := s.Redis(ctx)
		if err != nil {
			return err
		}
		kafka, err := s.Kafka(ctx)
		if err != nil {
			return err
		}
		writer, err := s.Publisher(ctx)
		if err != nil {
			return err
		}
		list := &suppress.List{Topic: s.Config.Names().Suppressions()}
		list.Publish = func(ctx context.Context, records []topology.Record) error {
			refused, err := writer.Publish(ctx, 0, records)
			if err == nil && len(refused) > 0 {
				err = fmt.Errorf("the topic does not take %s", wording.Count(len(refused), "record", "records"))
			}
			return err
		}
		var keep, stop func()
		list.Copy, keep, stop = connect.Suppressions(ctx, &s.Config, kafka, client, s.Log.Level(zerolog.ErrorLevel))
		defer stop()
		return do(ctx, list, keep)
	})
}

func (s *suppressions) addChannelFlag(cmd *cobra.Command, value topology.Channel, usage string) {
	s.channel = value
	command.WordFlag(cmd, &s.channel, "channel", address.Channels(), usage)
}

func (s *suppressions) addCauseFlag(cmd *cobra.Command, value topology.Cause, usage string) {
	s.cause = value
	command.WordFlag(cmd, &s.cause, "reason", topology.Causes(), usage)
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
	return "until " + wording.Moment(end)
}
