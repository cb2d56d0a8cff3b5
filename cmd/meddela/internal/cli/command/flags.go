package command

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/nearest"
)

// flag is one that holds its value against what it may be as it is set.
type flag struct {
	kind string // how help names the value
	text func() string
	set  func(string) error
}

func (f *flag) String() string     { return f.text() }
func (f *flag) Type() string       { return f.kind }
func (f *flag) Set(s string) error { return f.set(s) }

func among[T ~string](s string, known []T) error {
	if s != "" && !slices.Contains(known, T(s)) {
		return errors.New("use " + wording.OrList(wording.Texts(known)))
	}
	return nil
}

// wordFlag is a flag whose value is one of a closed list. What the value is before is the default.
func wordFlag[T ~string](value *T, known []T) *flag {
	kind := strings.ToLower(reflect.TypeFor[T]().Name())
	return &flag{kind, func() string { return string(*value) }, func(s string) error {
		*value = T(s)
		return among(s, known)
	}}
}

// WordFlag adds one to a command.
func WordFlag[T ~string](cmd *cobra.Command, value *T, name string, known []T, usage string) {
	cmd.Flags().Var(wordFlag(value, known), name, usage)
	Complete(cmd, name, known)
}

// WordsFlag adds a flag whose value is some of a closed list, in the list's order. What the value is before is
// the default.
func WordsFlag[T ~string](cmd *cobra.Command, value *[]T, name string, known []T, usage string) {
	var given []T
	text := func() string { return strings.Join(wording.Texts(*value), ",") }
	cmd.Flags().Var(&flag{"strings", text, func(s string) error {
		for one := range strings.SplitSeq(s, ",") {
			if err := among(one, known); err != nil {
				return err
			}
			given = append(given, T(one))
		}
		*value = slices.DeleteFunc(slices.Clone(known), func(one T) bool { return !slices.Contains(given, one) })
		return nil
	}}, name, usage)
	Complete(cmd, name, known)
}

// ErrNoLane is the error of a command that cannot do without --lane.
var ErrNoLane = Misusef("--lane is missing: use --lane %s or --lane %s", topology.Realtime, topology.Batch)

// RequireLane adds --lane to a command that cannot do without.
func RequireLane(cmd *cobra.Command, lane *topology.Lane) {
	WordFlag(cmd, lane, "lane", topology.Lanes(), "realtime or batch")
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *lane == "" {
			return ErrNoLane
		}
		return arguments(cmd, args)
	}
}

// Bound refuses values of a flag that do not fit, and says what they must be.
func Bound(cmd *cobra.Command, name string, fits func() bool, must string) {
	bounded := cmd.Flags().Lookup(name)
	value := bounded.Value
	bounded.Value = &flag{value.Type(), value.String, func(s string) error {
		if value.Set(s) != nil || !fits() {
			return errors.New("it must be " + must)
		}
		return nil
	}}
}

// Misuse is an error in the command line itself.
type Misuse struct{ error }

// Misusef formats a Misuse.
func Misusef(format string, values ...any) error { return &Misuse{fmt.Errorf(format, values...)} }

// Arguments checks how many arguments a command gets; most < 0 is no limit.
func Arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || (most >= 0 && len(args) > most) {
			return Misusef("%s takes %s, not %s: see %[1]s --help", cmd.CommandPath(), what,
				wording.Count(len(args), "argument", "arguments"))
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
	if near := nearest.Word(unknown.GetSpecifiedName(), known); near != "" {
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

// EndOf reads --until and --for, at most one of which is given.
func EndOf(until string, length time.Duration, now time.Time) (time.Time, error) {
	switch {
	case until != "" && length != 0:
		return time.Time{}, Misusef("--until and --for are both given: use one of them")
	case length < 0:
		return time.Time{}, Misusef("--for is %s: it must be a length of time such as 2h", length)
	case length > 0:
		return now.Add(length).UTC(), nil
	case until == "":
		return time.Time{}, nil
	}
	end, err := suppress.ParseTime(until)
	if err != nil {
		return time.Time{}, Misusef("--until is %q: %v", wording.Abridged(until), err)
	}
	if !now.Before(end) {
		return time.Time{}, Misusef("--until is %s: that is past", until)
	}
	return end, nil
}
