package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/bench"
)

// command makes the command of one measurement.
func (o *benchOptions) command(name, short string, measure func(context.Context, *bench.Bench) (bench.Result, error)) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.app.load(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context(), name, measure)
		},
	}
}

// flagRounds adds --rounds.
func (o *benchOptions) flagRounds(cmd *cobra.Command, rounds *int) {
	cmd.Flags().IntVar(rounds, "rounds", 3, "how often each side is measured")
}

// atLeastOne is misuse of a number that must be positive.
func atLeastOne(flag string, n int) error {
	if n < 1 {
		return misusef("--%s is %d: it must be at least 1", flag, n)
	}
	return nil
}

func newBenchMatch(o *benchOptions) *cobra.Command {
	var events, rounds int
	cmd := o.command("match", "Matching, beside a loop that only fetches and produces as many bytes",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if err := firstError(atLeastOne("events", events), atLeastOne("rounds", rounds)); err != nil {
				return nil, err
			}
			return b.Match(ctx, events, rounds)
		})
	cmd.Flags().IntVar(&events, "events", 200_000, "how many events are matched each time")
	o.flagRounds(cmd, &rounds)
	return cmd
}

func newBenchOverhead(o *benchOptions) *cobra.Command {
	var events, rounds int
	var sample float64
	cmd := o.command("overhead", "Matching with metrics and traces, beside matching without",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if err := firstError(atLeastOne("events", events), atLeastOne("rounds", rounds)); err != nil {
				return nil, err
			}
			if sample < 0 || sample > 1 {
				return nil, misusef("--sample is %v: it must be from 0 to 1", sample)
			}
			return b.Overhead(ctx, events, rounds, sample)
		})
	cmd.Flags().IntVar(&events, "events", 200_000, "how many events are matched each time")
	cmd.Flags().Float64Var(&sample, "sample", 0.01, "share of the events that are traced")
	o.flagRounds(cmd, &rounds)
	return cmd
}

func newBenchStatus(o *benchOptions) *cobra.Command {
	var entries, rounds int
	cmd := o.command("status", "Writing statuses, beside a writer that only writes as many to Redis",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if err := firstError(atLeastOne("entries", entries), atLeastOne("rounds", rounds)); err != nil {
				return nil, err
			}
			return b.Status(ctx, entries, rounds)
		})
	cmd.Flags().IntVar(&entries, "entries", 300_000, "how many entries of the delivery log are folded each time")
	o.flagRounds(cmd, &rounds)
	return cmd
}

func newBenchThroughput(o *benchOptions) *cobra.Command {
	var rate float64
	var hold time.Duration
	cmd := o.command("throughput", "The highest rate at which everything is sent and no lag grows",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if rate < 0 || hold < 5*time.Second {
				return nil, misusef("--rate must not be negative, and --for must be at least 5s")
			}
			return b.Throughput(ctx, rate, hold)
		})
	cmd.Flags().Float64Var(&rate, "rate", 0, "events a second to hold; 0 looks for the highest")
	cmd.Flags().DurationVar(&hold, "for", time.Minute, "how long the rate must be held")
	return cmd
}

func newBenchLatency(o *benchOptions) *cobra.Command {
	var rate float64
	var hold time.Duration
	var rounds int
	cmd := o.command("latency", "From publishing to sent in Redis, beside as many bare hops",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if rate <= 0 || hold < time.Second {
				return nil, misusef("--rate must be positive, and --for must be at least 1s")
			}
			if err := atLeastOne("rounds", rounds); err != nil {
				return nil, err
			}
			return b.Latency(ctx, rate, hold, rounds)
		})
	cmd.Flags().Float64Var(&rate, "rate", 500, "events a second")
	cmd.Flags().DurationVar(&hold, "for", time.Minute, "how long each side is measured, all rounds together")
	o.flagRounds(cmd, &rounds)
	return cmd
}

func newBenchMemory(o *benchOptions) *cobra.Command {
	var events int
	cmd := o.command("memory", "What each role takes to work off many waiting events",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if err := atLeastOne("events", events); err != nil {
				return nil, err
			}
			return b.Memory(ctx, events)
		})
	cmd.Flags().IntVar(&events, "events", 1_000_000, "how many events wait")
	return cmd
}

func newBenchTemplates(o *benchOptions) *cobra.Command {
	var templates, followers, publications, rounds int
	cmd := o.command("templates", "Matching with many templates beside few, and how soon consumers have a new one",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			err := firstError(
				atLeastOne("templates", templates), atLeastOne("followers", followers),
				atLeastOne("publications", publications), atLeastOne("rounds", rounds),
			)
			if err != nil {
				return nil, err
			}
			return b.Library(ctx, templates, followers, publications, rounds)
		})
	cmd.Flags().IntVar(&templates, "templates", 10_000, "how many templates are many")
	cmd.Flags().IntVar(&followers, "followers", 8, "how many consumers follow the templates")
	cmd.Flags().IntVar(&publications, "publications", 100, "how many versions are published")
	o.flagRounds(cmd, &rounds)
	return cmd
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// newBenchHop makes the command by which the bench runs the floor's steps as
// processes of their own.
func newBenchHop(o *benchOptions) *cobra.Command {
	var size int
	cmd := &cobra.Command{
		Use:    "hop jobs|log|status",
		Hidden: true,
		Args:   arguments(1, 1, "one hop"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.app.load(cmd); err != nil {
				return err
			}
			return o.app.runHop(cmd.Context(), bench.Hop(args[0]), size)
		},
	}
	cmd.Flags().IntVar(&size, "bytes", 1024, "size of the values that are written")
	return cmd
}
