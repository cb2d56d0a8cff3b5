package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// Chosen are those of a closed list that a flag names, in the list's order.
func Chosen[T ~string](flag string, words []string, all []T) (some []T, err error) {
	known := make(map[T]bool, len(all))
	for _, one := range all {
		known[one] = false
	}
	for _, word := range words {
		if _, ok := known[T(word)]; !ok {
			return nil, Misusef("--%s is %q: use %s", flag, wording.Abridged(word), wording.OrList(wording.Texts(all)))
		}
		known[T(word)] = true
	}
	for _, one := range all {
		if known[one] {
			some = append(some, one)
		}
	}
	return some, nil
}

// word is a flag whose value is a word of a closed list.
type word[T ~string] struct {
	value *T
	kind  string // as help names the value
	parse func(string) (T, error)
}

func (w *word[T]) String() string { return string(*w.value) }

func (w *word[T]) Type() string { return w.kind }

func (w *word[T]) Set(s string) (err error) {
	*w.value, err = w.parse(s)
	return err
}

// AddLaneFlag adds --lane to a command that works on one lane.
func AddLaneFlag(cmd *cobra.Command, lane *topology.Lane) {
	cmd.Flags().Var(&word[topology.Lane]{lane, "lane", topology.ParseLane}, "lane", "realtime or batch")
	Complete(cmd, "lane", wording.Texts(topology.Lanes())...)
}

// RequireLane adds --lane to a command that cannot do without.
func RequireLane(cmd *cobra.Command, lane *topology.Lane) {
	AddLaneFlag(cmd, lane)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *lane == "" {
			return Misusef("--lane is missing: use --lane %s or --lane %s", topology.Realtime, topology.Batch)
		}
		return nil
	}
}

// Misuse is an error in the command line itself.
type Misuse struct{ message string }

func (e *Misuse) Error() string { return e.message }

// Misusef formats a Misuse.
func Misusef(format string, values ...any) error {
	return &Misuse{fmt.Sprintf(format, values...)}
}

// Arguments checks how many arguments a command gets; most < 0 is no limit.
func Arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || (most >= 0 && len(args) > most) {
			return Misusef("%s takes %s, not %d arguments: see %s --help", cmd.CommandPath(), what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// flagMisuse says what is wrong with a flag, and which may have been meant.
func flagMisuse(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return Misusef("%v", err)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := wording.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		return Misusef("%v: did you mean --%s?", err, near)
	}
	return Misusef("%v: see %s --help", err, cmd.CommandPath())
}

// Complete offers fixed values for a flag to the shell.
func Complete(cmd *cobra.Command, flag string, values ...string) {
	// Its only error is that the flag is not there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
