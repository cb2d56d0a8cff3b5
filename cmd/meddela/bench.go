package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/bench"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

const benchHelp = `Measures this build on your Kafka and Redis, on topics and keys of its own, which
it deletes afterwards. Every figure stands beside that of a bare rival or a
floor, measured in the same run by turns.

A figure is worth as much as the machine was idle: the load is printed too.`

func newBenchCommand(a *app) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:     "bench",
		Short:   "Measure throughput, latency and memory, beside their floors",
		Long:    benchHelp,
		GroupID: groupOperate,
	})
	o := &benchOptions{app: a}
	cmd.PersistentFlags().StringToIntVar(&o.servers, "servers", nil, "processes whose CPU time is told, such as kafka=4711,redis=4712")
	cmd.PersistentFlags().StringVar(&o.profiles, "profiles", "", "folder for CPU profiles, of the bench and of each role that is a process of its own")
	cmd.AddCommand(newBenchMatch(o), newBenchStatus(o), newBenchThroughput(o), newBenchLatency(o), newBenchMemory(o), newBenchTemplates(o))
	cmd.AddCommand(newBenchOnce(o), newBenchSchedules(o), newBenchIsolation(o), newBenchOverhead(o), newBenchHop(o))
	return cmd
}

// benchOptions are what the flags of the measurements say.
type benchOptions struct {
	app      *app
	servers  map[string]int
	profiles string
}

func (o *benchOptions) run(ctx context.Context, name string, measure func(context.Context, *bench.Bench) (bench.Result, error)) error {
	collectLess() // as a role does
	line := newStatusLine(o.app.errOut)
	b, closeAll, err := o.open(ctx, line)
	if err != nil {
		return err
	}
	machine := bench.LookAtMachine()
	var result bench.Result
	err = profiled(o.profile(), func() (err error) {
		result, err = measure(ctx, b)
		return err
	})
	machine.Done()
	err = errors.Join(err, closeAll())
	line.clear()
	if err != nil {
		return err
	}
	return o.app.printBench(name, machine, result)
}

// profile is the file for the profile of the bench's own process.
func (o *benchOptions) profile() string {
	if o.profiles == "" {
		return ""
	}
	return filepath.Join(o.profiles, "bench.pprof")
}

// open connects to the servers and makes a Bench. What it returns last takes
// away what the Bench leaves behind.
func (o *benchOptions) open(ctx context.Context, line *statusLine) (*bench.Bench, func() error, error) {
	a := o.app
	connection, err := a.kafka(ctx)
	if err != nil {
		return nil, nil, err
	}
	templates, err := authoring.Load(samples.Templates())
	if err != nil {
		return nil, nil, fmt.Errorf("the sample templates: %w", err)
	}
	client, err := a.redis(ctx)
	if err != nil {
		return nil, nil, err
	}
	in := &installation{config: &a.config, kafka: connection, log: a.log.Level(zerolog.WarnLevel)}
	b := bench.New(bench.Config{
		Kafka:       connection,
		Compression: a.config.Kafka.compression(),
		Redis:       client,
		Sizing:      a.config.sizing(),
		Templates:   templates,
		FetchBytes:  a.config.Loop.FetchBytes,
		NewLoop:     in.benchLoop,
		Program:     a.program,
		Servers:     o.servers,
		Profiles:    o.profiles,
		Progress:    line.show,
	})
	return b, func() error { return errors.Join(b.Close(), client.Close()) }, nil
}

// benchLoop makes the loop of a role as it is deployed, with another handler.
func (in *installation) benchLoop(s bench.LoopSpec) *consumer.Loop {
	named := *in
	named.names = s.Names
	r := &role{installation: &named, name: s.Role, lane: topology.Realtime, transport: s.Transport, log: in.log}
	return consumer.New(r.loopConfig(s.Handler, s.Topics))
}
