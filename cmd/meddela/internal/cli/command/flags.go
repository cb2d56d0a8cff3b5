package command

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// word is a flag whose value is one of a closed list.
type word[T ~string] struct {
	value *T
	known []T
}

func (w *word[T]) String() string { return string(*w.value) }

// Type is how help names the value.
func (w *word[T]) Type() string { return strings.ToLower(reflect.TypeFor[T]().Name()) }

func (w *word[T]) Set(s string) error {
	*w.value = T(s)
	return among(s, w.known)
}

func among[T ~string](s string, known []T) error {
	if s != "" && !slices.Contains(known, T(s)) {
		return errors.New("use " + wording.OrList(wording.Texts(known)))
	}
	return nil
}

// WordFlag adds a flag whose value is one of a closed list. What the value is before is the default.
func WordFlag[T ~string](cmd *cobra.Command, value *T, name string, known []T, usage string) {
	cmd.Flags().Var(&word[T]{value, known}, name, usage)
	Complete(cmd, name, known)
}

// words is a flag whose value is some of a closed list, in the list's order.
type words[T ~string] struct {
	value *[]T
	known []T
	given []T
}

func (w *words[T]) String() string { return strings.Join(wording.Texts(*w.value), ",") }

func (w *words[T]) Type() string { return "strings" }

func (w *words[T]) Set(s string) error {
	for one := range strings.SplitSeq(s, ",") {
		if err := among(one, w.known); err != nil {
			return err
		}
		w.given = append(w.given, T(one))
	}
	*w.value = slices.DeleteFunc(slices.Clone(w.known), func(one T) bool { return !slices.Contains(w.given, one) })
	return nil
}

// WordsFlag adds a flag whose value is some of a closed list. What the value is before is the default.
func WordsFlag[T ~string](cmd *cobra.Command, value *[]T, name string, known []T, usage string) {
	cmd.Flags().Var(&words[T]{value: value, known: known}, name, usage)
	Complete(cmd, name, known)
}

// RequireLane adds --lane to a command that cannot do without.
func RequireLane(cmd *cobra.Command, lane *topology.Lane) {
	WordFlag(cmd, lane, "lane", topology.Lanes(), "realtime or batch")
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *lane == "" {
			return Misusef("--lane is missing: use --lane %s or --lane %s", topology.Realtime, topology.Batch)
		}
		return arguments(cmd, args)
	}
}

// bounded is a flag whose value is held against what it may be as it is set.
type bounded struct {
	pflag.Value
	fits func() bool
	must string
}

func (b bounded) Set(s string) error {
	if b.Value.Set(s) != nil || !b.fits() {
		return errors.New("it must be " + b.must)
	}
	return nil
}

// Bound refuses values of a flag that do not fit, and says what they must be.
func Bound(cmd *cobra.Command, name string, fits func() bool, must string) {
	flag := cmd.Flags().Lookup(name)
	flag.Value = bounded{flag.Value, fits, must}
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
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return Misusef("--%s is %q: %v", bad.GetFlag().Name, wording.Abridged(bad.GetValue()), bad.Unwrap())
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
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
func Complete[T ~string](cmd *cobra.Command, flag string, values []T) {
	// Its only error is that the flag is not there.
	_ = cmd.RegisterFlagCompletionFunc(flag,
		cobra.FixedCompletions(wording.Texts(values), cobra.ShellCompDirectiveNoFileComp))
}
