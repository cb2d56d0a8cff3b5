package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/bench"
)

func newBenchOnce(o *benchOptions) *cobra.Command {
	var jobs, kills, deliverers int
	cmd := o.command("once", "Deliverers killed at random: what the provider is handed how often",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if err := firstError(atLeastOne("jobs", jobs), atLeastOne("deliverers", deliverers)); err != nil {
				return nil, err
			}
			return b.Once(ctx, jobs, kills, deliverers)
		})
	cmd.Flags().IntVar(&jobs, "jobs", 200_000, "how many jobs are delivered")
	cmd.Flags().IntVar(&kills, "kills", 50, "how often a worker is killed")
	cmd.Flags().IntVar(&deliverers, "deliverers", 3, "how many processes deliver")
	return cmd
}

func newBenchSchedules(o *benchOptions) *cobra.Command {
	var events, restarts int
	var over time.Duration
	cmd := o.command("schedules", "How late scheduled messages are, with restarts on the way",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if over < time.Second {
				return nil, misusef("--over must be at least 1s")
			}
			if err := atLeastOne("events", events); err != nil {
				return nil, err
			}
			return b.Schedules(ctx, events, over, restarts)
		})
	cmd.Flags().IntVar(&events, "events", 10_000, "how many events are scheduled")
	cmd.Flags().DurationVar(&over, "over", 5*time.Minute, "how long the events' times are spread over")
	cmd.Flags().IntVar(&restarts, "restarts", 8, "how many processes are restarted meanwhile")
	return cmd
}

func newBenchIsolation(o *benchOptions) *cobra.Command {
	var flood int
	var hold time.Duration
	cmd := o.command("isolation", "Real-time messages beside a slow provider and a batch flood",
		func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
			if hold < 5*time.Second {
				return nil, misusef("--for must be at least 5s")
			}
			return b.Isolation(ctx, flood, hold)
		})
	cmd.Flags().IntVar(&flood, "flood", 50_000, "how many batch messages flood the slow provider")
	cmd.Flags().DurationVar(&hold, "for", 30*time.Second, "how long each step is measured")
	return cmd
}
