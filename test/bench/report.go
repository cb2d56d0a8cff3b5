package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/meddela/meddela/test/script"
)

// Table is what was measured. Its first column names what the others are about.
type Table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	Goals   []Goal   `json:"goals,omitempty"`
}

// Goal is a figure held against what it should be.
type Goal struct {
	Text string `json:"text"`
	Met  bool   `json:"met"`
}

// load is the average number of threads that wanted a CPU, over 1, 5 and 15 minutes.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text) + " unknown - -")
	return strings.Join(fields[:3], " ")
}

// report measures a figure and prints it, with when and where that was, and how busy the machine.
func report(
	ctx context.Context, binary string, servers map[string]int, output, name string, measure func(*bench) []Table,
) error {
	at, before := time.Now().UTC().Truncate(time.Second), load()
	b, err := newBench(ctx, binary, servers)
	if err != nil {
		return err
	}
	var tables []Table
	err = script.Try(func() { tables = measure(b) })
	after := load()
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"measured": name, "at": at, "cpus": runtime.NumCPU(), "go": runtime.Version(), "load_before": before,
			"load_after": after, "tables": tables,
		})
	}
	for _, t := range tables {
		t.print()
	}
	_, err = fmt.Printf("%s, %d CPUs, %s, load average %s before and %s after\n\n",
		at.Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), runtime.Version(), before, after)
	return err
}

func (t *Table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\n%s\n", t.Title, strings.Join(t.Columns, "\t"))
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, value := range row {
			cells[i] = cell(value)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	for _, g := range t.Goals {
		fmt.Printf("%s: %s\n", g.Text, map[bool]string{true: "met", false: "missed"}[g.Met])
	}
	fmt.Println()
}

// cell is a value as a table shows it: of numbers with a fraction about three digits.
func cell(value any) string {
	f, ok := value.(float64)
	switch {
	case !ok:
		return fmt.Sprint(value)
	case math.Abs(f) < 10:
		return fmt.Sprintf("%.2f", f)
	case math.Abs(f) < 1000:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// times are the columns of durations in ms, after the one that names them and before more.
func times(first string, more ...string) []string {
	return append([]string{first, "events", "p50 ms", "p90 ms", "p99 ms", "most ms"}, more...)
}

// quantiles are the row of durations in ms.
func quantiles(name string, ms []float64, more ...any) []any {
	row := []any{name, len(ms), quantile(ms, 0.5), quantile(ms, 0.9), quantile(ms, 0.99), quantile(ms, 1)}
	return append(row, more...)
}

func under(what string, ms float64, goal time.Duration) Goal {
	return Goal{fmt.Sprintf("%s %.1f ms; the goal is below %v", what, ms, goal), ms < milliseconds(goal)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// progress shows on a terminal what is going on, in one line.
func progress(format string, values ...any) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprintf(os.Stderr, "\r\033[K"+format, values...)
	}
}
