package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

// Execute runs one command line of a program with these commands, and returns
// the exit status.
func (env *Env) Execute(ctx context.Context, args []string, commands ...func(*Env) *cobra.Command) int {
	root := newRootCommand(env, commands)
	root.SetArgs(append([]string{}, args...)) // nil would be the process's own
	err := root.ExecuteContext(ctx)
	for _, end := range slices.Backward(env.atEnd) {
		end()
	}
	if err == nil {
		return ExitOK
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(env.ErrOut, "meddela:", strings.TrimRight(line, "\n"))
	}
	if errors.Is(err, ErrOverdue) {
		return ExitOverdue
	}
	if errors.As(err, new(*Misuse)) || errors.As(err, new(config.Faults)) {
		return ExitMisused
	}
	return ExitFailed
}

// Groups of commands in the help.
const (
	GroupTry     = "try"
	GroupRun     = "run"
	GroupOperate = "operate"
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
their own. Where they share brokers, Redis or processors, batch gives way.

Try it, with nothing installed but this binary:

  meddela demo      the whole system in one process, with sample events
  meddela up        the same, to talk to with any Kafka or Redis client
  meddela config    every setting: what it is now, and what it is for

With Kafka and Redis of your own:

  export MEDDELA_KAFKA_BROKERS=127.0.0.1:9092 MEDDELA_REDIS_ADDRS=127.0.0.1:6379
  meddela topics apply
  meddela publish --lane realtime events.jsonl
  meddela status 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --watch`

func newRootCommand(env *Env, commands []func(*Env) *cobra.Command) *cobra.Command {
	env.Output = Table
	root := Parent(&cobra.Command{
		Use:           "meddela",
		Short:         "A message centre on Kafka and Redis",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.ErrOut)
	root.SetFlagErrorFunc(flagMisuse)
	root.AddGroup(
		&cobra.Group{ID: GroupTry, Title: "Try it:"},
		&cobra.Group{ID: GroupRun, Title: "Run it:"},
		&cobra.Group{ID: GroupOperate, Title: "Work with it:"},
	)
	formats := []Format{Table, JSON}
	root.PersistentFlags().VarP(wordFlag(&env.Output, formats), "output", "o", "table or json")
	Complete(root, "output", formats)
	config.AddSettingFlags(root.PersistentFlags())

	for _, command := range commands {
		made := command(env)
		takeNone(made)
		root.AddCommand(made)
	}
	return root
}

// takeNone refuses arguments to commands that do not say how many they take.
func takeNone(cmd *cobra.Command) {
	if cmd.Args == nil {
		cmd.Args = Arguments(0, 0, "no arguments")
	}
	for _, below := range cmd.Commands() {
		takeNone(below)
	}
}

// Parent makes a command that only holds others: alone it prints its help,
// and an unknown word after it is misuse.
func Parent(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %s?", wording.OrList(near))
		}
		return Misusef("unknown command %q for %s: %s", args[0], cmd.CommandPath(), hint)
	}
	return cmd
}
