package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
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

// Machine is where something was measured, and how busy it was: the average number of threads that wanted a CPU, over
// 1, 5 and 15 minutes.
type Machine struct {
	At         time.Time `json:"at"`
	CPUs       int       `json:"cpus"`
	Go         string    `json:"go"`
	LoadBefore string    `json:"load_before"`
	LoadAfter  string    `json:"load_after"`
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}

// report measures a figure and prints it.
func report(
	ctx context.Context, binary string, servers map[string]int, output, name string, measure func(*bench) []Table,
) error {
	m := Machine{
		At: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Go: runtime.Version(), LoadBefore: load(),
	}
	b, err := newBench(ctx, binary, servers)
	if err != nil {
		return err
	}
	var tables []Table
	err = attempt(func() { tables = measure(b) })
	m.LoadAfter = load()
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"measured": name, "machine": m, "tables": tables})
	}
	for _, t := range tables {
		t.print()
	}
	_, err = fmt.Printf("%s, %d CPUs, %s, load average %s before and %s after\n\n",
		m.At.Format("2006-01-02 15:04 UTC"), m.CPUs, m.Go, m.LoadBefore, m.LoadAfter)
	return err
}

func (t *Table) print() {
	w := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	header, aligned := make(table.Row, len(t.Columns)), []table.ColumnConfig(nil)
	for i, c := range t.Columns {
		header[i] = c
		if i > 0 {
			aligned = append(aligned, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	w.AppendHeader(header)
	w.SetColumnConfigs(aligned)
	for _, row := range t.Rows {
		cells := make(table.Row, len(row))
		for i, c := range row {
			cells[i] = cell(c)
		}
		w.AppendRow(cells)
	}
	fmt.Printf("%s\n%s\n", t.Title, w.Render())
	for _, g := range t.Goals {
		result := "met"
		if !g.Met {
			result = "missed"
		}
		fmt.Printf("%s: %s\n", g.Text, result)
	}
	fmt.Println()
}

// cell is a value as a table shows it: of numbers about three digits.
func cell(value any) string {
	switch v := value.(type) {
	case int:
		return thousands(float64(v))
	case float64:
		switch size := math.Abs(v); {
		case size < 10:
			return fmt.Sprintf("%.2f", v)
		case size < 1000:
			return fmt.Sprintf("%.1f", v)
		}
		return thousands(v)
	case []float64:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = cell(v[i])
		}
		return strings.Join(texts, " ")
	}
	return fmt.Sprint(value)
}

// thousands is a whole number with its thousands apart.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	var parts []string
	for len(strings.TrimPrefix(digits, "-")) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return strings.Join(parts, " ")
}

// times are the columns of durations in ms, and quantiles their values.
func times() []string { return []string{"events", "p50 ms", "p90 ms", "p99 ms", "most ms"} }

func quantiles(ms []float64) []any {
	return []any{len(ms), quantile(ms, 0.5), quantile(ms, 0.9), quantile(ms, 0.99), quantile(ms, 1)}
}

// under is the goal of a duration.
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
