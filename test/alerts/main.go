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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	binary := flag.String("meddela", "bin/meddela", "the program")
	prometheus := flag.String("prometheus", "prometheus", "the Prometheus program")
	dir := flag.String("dir", "", "folder for logs and Prometheus' data")
	only := flag.String("only", "", "names of the faults to try, with commas between; default: all")
	keep := flag.Bool("keep", false, "leave everything running at the end, until a signal comes")
	flag.Parse()
	if *dir == "" {
		return errors.New("say where with -dir")
	}
	stand, err := newStand(ctx, *binary, *prometheus, *dir)
	if err != nil {
		return err
	}
	defer stand.stop()
	if err := stand.start(); err != nil {
		return err
	}
	all := faults()
	var results []result
	for i := range all {
		if *only != "" && !strings.Contains(","+*only+",", ","+all[i].name+",") {
			continue
		}
		r, err := stand.try(&all[i])
		if err != nil {
			return fmt.Errorf("%s: %w (logs: %s)", all[i].name, err, filepath.Join(*dir, "logs"))
		}
		results = append(results, r)
		fmt.Println(r.line())
	}
	if *keep {
		fmt.Println("Prometheus is at", stand.prometheusURL())
		<-ctx.Done()
	}
	return judge(results)
}

func judge(results []result) (all error) {
	for i := range results {
		all = errors.Join(all, results[i].err())
	}
	if all == nil {
		fmt.Println("each alert fired for its fault, in its time, and no other did")
	}
	return all
}
