// Command bench measures a build of meddela on real Kafka and Redis. Every figure stands beside the one that it is to
// be compared with, a bare rival's or a floor's, and both are measured in the same run, by turns.
//
// It works on topics and keys of its own and deletes them afterwards. Roles run as processes of bin/meddela.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const usage = `usage: go run ./test/bench [-o json] FIGURE [FLAGS] [FIGURE [FLAGS]]...

Measures bin/meddela on the servers that "make servers" has brought up (SERVERS_DIR,
default .servers), or on those that MEDDELA_KAFKA_BROKERS and MEDDELA_REDIS_ADDRS name.
A figure is worth as much as the machine was idle: the load is printed too.
"FIGURE -h" lists a figure's flags.

`

// figure is what can be measured. flags declares its flags, and returns what measures it when they are read.
type figure struct {
	name, about string
	flags       func(*flag.FlagSet) func(*bench) []Table
}

var figures = []figure{
	{"match", "matching, beside a loop that only fetches and produces as many bytes", matchFigure},
	{"status", "writing statuses, beside a writer that only writes as many to Redis", statusFigure},
	{"latency", "from publishing to sent in Redis, beside as many bare hops", latencyFigure},
	{"throughput", "the highest rate at which everything is sent and no lag grows", throughputFigure},
	{"memory", "what each role takes to work off many waiting events", memoryFigure},
	{"once", "deliverers killed at random: what the provider is handed how often", onceFigure},
	{"isolation", "real-time messages beside a slow provider and a batch flood", isolationFigure},
	{"redrive", "dead letters redriven by processes that are killed, beside a real-time load", redriveFigure},
	{"schedules", "how late scheduled messages are, with restarts on the way", schedulesFigure},
	{"templates", "matching with many templates beside few, and how soon followers have a new one", templatesFigure},
	{"overhead", "matching that is scraped and traced, beside matching that is not", overheadFigure},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	debug.SetGCPercent(400) // as a role does, for the loops that run in this process
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	options := flag.NewFlagSet("bench", flag.ExitOnError)
	binary := options.String("binary", "bin/meddela", "the build that is measured")
	output := options.String("o", "table", "form of the output, table or json")
	options.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		for _, f := range figures {
			fmt.Fprintf(os.Stderr, "  %-11s %s\n", f.name, f.about)
		}
		options.PrintDefaults()
	}
	_ = options.Parse(args) // exits where it cannot
	rest := options.Args()
	if len(rest) == 0 {
		options.Usage()
		return errors.New("name a figure")
	}
	servers, err := findServers()
	if err != nil {
		return err
	}
	path, err := filepath.Abs(*binary)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return fmt.Errorf("the build that is to be measured: %w: run `make build`", err)
	}
	for len(rest) > 0 {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == rest[0] })
		if i < 0 {
			return fmt.Errorf("unknown figure %q", rest[0])
		}
		flags := flag.NewFlagSet(rest[0], flag.ExitOnError)
		measure := figures[i].flags(flags)
		_ = flags.Parse(rest[1:])
		flags.VisitAll(func(f *flag.Flag) {
			if n, ok := f.Value.(flag.Getter).Get().(int); ok && n < 1 && err == nil {
				err = fmt.Errorf("--%s is %d: it must be at least 1", f.Name, n)
			}
		})
		if err == nil {
			err = report(ctx, path, servers, *output, rest[0], measure)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", rest[0], err)
		}
		rest = flags.Args()
	}
	return nil
}

// findServers sets the environment that names the servers, unless it is set, and returns their processes by name, so
// that their CPU time is shown too.
func findServers() (map[string]int, error) {
	if os.Getenv("MEDDELA_KAFKA_BROKERS") != "" {
		return nil, nil
	}
	dir := cmp.Or(os.Getenv("SERVERS_DIR"), ".servers")
	text, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		return nil, errors.New("the real servers are not up: run `make servers`")
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			if err := os.Setenv(name, value); err != nil {
				return nil, err
			}
		}
	}
	processes := make(map[string]int)
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			processes[strings.TrimSuffix(filepath.Base(file), ".pid")], _ = strconv.Atoi(fields[0])
		}
	}
	return processes, err
}

func roundsFlag(flags *flag.FlagSet) *int {
	return flags.Int("rounds", 3, "how often each side is measured")
}
