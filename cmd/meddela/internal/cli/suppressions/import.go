package suppressions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
)

func newImport(s *suppressions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Send nothing to the addresses in a CSV file any more",
		Long: `Send nothing to the addresses in a CSV file any more. With -, it is read from
standard input.

The first line names the columns, in any order:

  address   or email, mobilePhone or registrationToken, which say the channel too
  channel   email, sms or push; without the column, --channel
  reason    unsubscribed, bounced, complaint or manual; where empty, --reason
  until     a date or a time; where empty, --until or --for, or for good

Other columns are skipped; commas, semicolons and tabs separate. The text is UTF-8,
or UTF-16 with a byte order mark. A line that cannot be used is told with its number,
and the others are imported all the same. Repeating an import changes nothing.`,
		Example: `  meddela suppressions import unsubscribed.csv --reason unsubscribed
  zcat bounces.csv.gz | meddela suppressions import - --reason bounced --for 2160h`,
		Args: command.Arguments(1, 1, "one file, or -"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			if s.file, s.size, err = s.OpenInput(args[0]); err != nil {
				return fmt.Errorf("addresses cannot be read: %w", err)
			}
			return s.parseAddresses(nil, nil)
		},
		RunE: s.run(s.importFile),
	}
	s.addChannelFlag(cmd, "", "channel of lines that have none: email, sms or push")
	s.addCauseFlag(cmd, "", "reason of lines that have none: unsubscribed, bounced, complaint or manual")
	s.addUntilFlags(cmd)
	return cmd
}

type importView struct {
	suppress.Imported
	BadLines []*suppress.BadLine `json:"bad_lines"` // the first ones
	Millis   int64               `json:"took_ms"`
}

// mostBadLines bounds those in the JSON; standard error has all.
const mostBadLines = 100

func (s *suppressions) importFile(ctx context.Context, list *suppress.List) (err error) {
	view := importView{BadLines: []*suppress.BadLine{}}
	line := command.NewProgress(s.ErrOut)
	read := new(counter)
	view.Imported, err = list.Import(ctx, io.TeeReader(s.file, read), suppress.Import{
		Channel: s.channel, Cause: s.cause, Until: s.end,
		OnBad: func(bad *suppress.BadLine) {
			line.Clear()
			_, _ = fmt.Fprintln(s.ErrOut, bad)
			if len(view.BadLines) < mostBadLines {
				view.BadLines = append(view.BadLines, bad)
			}
		},
		OnProgress: func(i suppress.Imported) { line.Show("lines", i.Read, int64(*read), s.size) },
	})
	line.Clear()
	took := time.Since(line.Start).Truncate(time.Millisecond)
	view.Millis = took.Milliseconds()
	printed := s.Print(view, "%s suppressed, %d for as long already, %s not imported; %s read in %s, %.0f a second\n",
		wording.Count(view.Added, "address", "addresses"), view.Known, wording.Count(view.Bad, "line", "lines"),
		wording.Count(view.Read, "line", "lines"), took, command.PerSecond(view.Read, took))
	if view.National > 0 {
		_, _ = fmt.Fprintf(s.ErrOut, "%s without a country's code: such a line is about events with the same digits only. "+
			"Set MEDDELA_PHONE_REGION, or write numbers with a plus, and import the file again\n",
			wording.Count(view.National, "phone number is", "phone numbers are"))
	}
	switch {
	case errors.Is(err, suppress.ErrHeader):
		return fmt.Errorf("nothing is imported: %w", err)
	case err != nil:
		return fmt.Errorf("stopped after %s: %w: import the file again, which changes nothing for those lines",
			wording.Count(view.Read, "line", "lines"), err)
	case view.Bad > 0:
		return fmt.Errorf("%d of %d lines were not imported", view.Bad, view.Read)
	}
	return printed
}

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
