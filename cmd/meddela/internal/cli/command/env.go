// Package command is what all commands share: streams and output, configuration,
// connections, flags and arguments.
package command

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/producer"
)

// Exit statuses.
const (
	ExitOK     = 0
	ExitFailed = 1
	// ExitMisused is for a command line or a configuration that cannot be.
	ExitMisused = 2
	ExitOverdue = 3 // status verify: nothing differs, but something should have gone on
)

// ErrOverdue is the error for ExitOverdue.
var ErrOverdue = errors.New("nothing has happened for longer than --overdue")

// Called is what to write for this program on the command line: its path, where it was called by one.
func Called() string {
	if strings.ContainsRune(os.Args[0], os.PathSeparator) {
		return os.Args[0]
	}
	return "meddela"
}

// Env is what commands share. Configuration is read by those that are Loaded.
type Env struct {
	In          io.Reader
	Out, ErrOut io.Writer
	Output      Format
	// ReachTimeout is how long a server may take to answer at a command's
	// start.
	ReachTimeout time.Duration
	Version      string

	Config   config.Config
	Settings []*config.Setting
	Log      zerolog.Logger

	kafka producer.Connection // that was seen to work
	atEnd []func()
}

// AtEnd has a function called at the command's end, before those of earlier calls.
func (env *Env) AtEnd(end func()) { env.atEnd = append(env.atEnd, end) }

// Loaded is the RunE of a command that reads the configuration first. What can be wrong with
// its arguments is told before, by its flags, Args and PreRunE.
func (env *Env) Loaded(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := env.Load(cmd); err != nil {
			return err
		}
		return run(cmd.Context(), args)
	}
}

// Load reads the configuration, flags over environment over defaults, and
// starts the log. Its error has every fault.
func (env *Env) Load(cmd *cobra.Command) error {
	env.Config = config.Config{}
	var faults config.Faults
	if env.Settings, faults = config.ReadSettings(&env.Config, cmd.Flags()); len(faults) > 0 {
		return faults
	}
	env.Log = newLogger(&env.Config, env.ErrOut)
	return nil
}

// OpenInput opens a file, or standard input for -. size is 0 when it is not known.
func (env *Env) OpenInput(name string) (input io.Reader, size int64, err error) {
	if name == "-" {
		return env.In, 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	env.AtEnd(func() { _ = file.Close() })
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return file, size, nil
}
