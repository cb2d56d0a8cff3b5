// Command alerts makes alerts of the chart fire, on real servers: it runs every role and a real Prometheus with the
// chart's rules, breaks one thing after the other, and prints which alerts fired for it, and after how long. Run it by
// test/alerts/run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/meddela/meddela/test/script"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (all error) {
	binary := flag.String("meddela", "bin/meddela", "the program")
	prometheus := flag.String("prometheus", "prometheus", "the Prometheus program")
	dir := flag.String("dir", "", "folder for logs and Prometheus' data")
	only := flag.String("only", "", "names of the faults to try, with commas between; default: all")
	keep := flag.Bool("keep", false, "leave everything running at the end, until a signal comes")
	flag.Parse()
	if *dir == "" {
		return errors.New("say where with -dir")
	}
	doing := "starting"
	err := script.Try(func() {
		stand := newStand(ctx, *binary, *prometheus, *dir)
		defer stand.stop()
		stand.start()
		for _, f := range faults() {
			if *only != "" && !strings.Contains(","+*only+",", ","+f.name+",") {
				continue
			}
			doing = f.name
			all = errors.Join(all, stand.try(f))
		}
		if *keep {
			fmt.Println("Prometheus is at", stand.prometheusURL())
			<-ctx.Done()
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w (logs: %s)", doing, err, filepath.Join(*dir, "logs"))
	}
	if all == nil {
		fmt.Println("each alert fired for its fault, in its time, and no other did")
	}
	return all
}
