package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	// exitMisused is for a command line or a configuration that cannot be.
	exitMisused = 2
)

// app is what commands share. Configuration is read by those that call load.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	output      outputFormat
	// reachTimeout is how long a server may take to answer at a command's
	// start.
	reachTimeout time.Duration

	config   Config
	settings []setting
	log      zerolog.Logger
}

// misuse is an error in the command line itself.
type misuse struct{ message string }

func (e *misuse) Error() string { return e.message }

func misusef(format string, values ...any) error {
	return &misuse{fmt.Sprintf(format, values...)}
}

// execute runs one command line and returns the exit status.
func (a *app) execute(ctx context.Context, args []string) int {
	root := newRootCommand(a)
	root.SetArgs(append([]string{}, args...)) // nil would be the process's own
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(a.errOut, "meddela:", strings.TrimRight(line, "\n"))
	}
	var misused *misuse
	var faults Faults
	if errors.As(err, &misused) || errors.As(err, &faults) {
		return exitMisused
	}
	return exitFailed
}

// Groups of commands in the help.
const (
	groupTry     = "try"
	groupRun     = "run"
	groupOperate = "operate"
)

const rootHelp = `meddela is a message centre on Kafka and Redis.

Upstream systems publish events. Each event is linked to a message template,
delivered, and its status kept up to date in Redis:

  upstream ──> events ──> match ──> jobs ──> deliver ──> provider (SMTP, HTTP)
                 │          │                   │
                 │          └──> delivery log <─┘
                 │                    │
                 └──────> status <────┘──> Redis <── meddela status ID

Two lanes, realtime and batch, have topics, consumer groups and processes of
their own, so that a flood on one is not felt on the other.

Try it, with nothing installed but this binary:

  meddela demo      the whole system in one process, with sample events
  meddela up        the same, to talk to with any Kafka or Redis client
  meddela config    every setting: what it is now, and what it is for

With Kafka and Redis of your own:

  export MEDDELA_KAFKA_BROKERS=127.0.0.1:9092 MEDDELA_REDIS_ADDRS=127.0.0.1:6379
  meddela topics apply
  meddela publish --lane realtime events.jsonl
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --watch`

func newRootCommand(a *app) *cobra.Command {
	a.output = outputTable
	root := parent(&cobra.Command{
		Use:           "meddela",
		Short:         "A message centre on Kafka and Redis",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	root.SetFlagErrorFunc(flagMisuse)
	root.AddGroup(
		&cobra.Group{ID: groupTry, Title: "Try it:"},
		&cobra.Group{ID: groupRun, Title: "Run it:"},
		&cobra.Group{ID: groupOperate, Title: "Work with it:"},
	)
	root.PersistentFlags().VarP(&a.output, "output", "o", "table or json")
	complete(root, "output", string(outputTable), string(outputJSON))
	addSettingFlags(root.PersistentFlags())

	root.AddCommand(newDemoCommand(a))
	root.AddCommand(newUpCommand(a))
	root.AddCommand(newRunCommand(a))
	root.AddCommand(newTopicsCommand(a))
	root.AddCommand(newTemplatesCommand(a))
	root.AddCommand(newPublishCommand(a))
	root.AddCommand(newStatusCommand(a))
	root.AddCommand(newUncoveredCommand(a))
	root.AddCommand(newSuppressionsCommand(a))
	root.AddCommand(newControlCommand(a))
	root.AddCommand(newProvidersCommand(a))
	root.AddCommand(newCheckCommand(a))
	root.AddCommand(newLagCommand(a))
	root.AddCommand(newBenchCommand(a))
	root.AddCommand(newConfigCommand(a))
	root.AddCommand(newVersionCommand(a))
	return root
}

// parent makes a command that only holds others: alone it prints its help,
// and an unknown word after it is misuse.
func parent(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %s?", orList(near))
		}
		return misusef("unknown command %q for %s: %s", args[0], cmd.CommandPath(), hint)
	}
	return cmd
}

// arguments checks how many arguments a command gets; most < 0 is no limit.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || (most >= 0 && len(args) > most) {
			return misusef("%s takes %s, not %d arguments: see %s --help", cmd.CommandPath(), what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// flagMisuse says what is wrong with a flag, and which may have been meant.
func flagMisuse(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return misusef("%v", err)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near, ok := nearest(unknown.GetSpecifiedName(), known); ok {
		return misusef("%v: did you mean --%s?", err, near)
	}
	return misusef("%v: see %s --help", err, cmd.CommandPath())
}

// complete offers fixed values for a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// Its only error is that the flag is not there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
