package main

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/bench"
)

// printBench prints what was measured, and how busy the machine was.
func (a *app) printBench(name string, machine bench.Machine, result bench.Result) error {
	if a.output == outputJSON {
		return a.printJSON(map[string]any{"measured": name, "version": version, "machine": machine, "result": result})
	}
	for _, t := range result.Tables() {
		if err := a.printBenchTable(t); err != nil {
			return err
		}
	}
	return a.printf("%s, %d CPUs, %s, load average %s before and %s after\n",
		machine.At.Format("2006-01-02 15:04 UTC"), machine.CPUs, machine.Go, machine.LoadBefore, machine.LoadAfter)
}

func (a *app) printBenchTable(t bench.Table) error {
	columns := make(table.Row, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c
	}
	shown := newTable(columns...)
	var right []table.ColumnConfig
	for i := range t.Columns[1:] {
		right = append(right, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	shown.SetColumnConfigs(right)
	for _, row := range t.Rows {
		cells := make(table.Row, len(row))
		for i, c := range row {
			cells[i] = c
		}
		shown.AppendRow(cells)
	}
	if err := a.printf("%s\n", a.paint(text.Bold, t.Title)); err != nil {
		return err
	}
	if err := a.printTable(shown); err != nil {
		return err
	}
	for _, v := range t.Verdicts {
		mark, colour := "met", text.FgGreen
		if !v.Met {
			mark, colour = "missed", text.FgRed
		}
		if err := a.printf("%s: %s\n", v.Text, a.paint(colour, mark)); err != nil {
			return err
		}
	}
	return a.printf("\n")
}

// statusLine keeps one line on a terminal that says what is going on.
type statusLine struct {
	out   io.Writer
	shown bool
}

// newStatusLine shows a line on w if that is a terminal.
func newStatusLine(w io.Writer) *statusLine {
	if isTerminal(w) {
		return &statusLine{out: w}
	}
	return new(statusLine)
}

func (l *statusLine) show(format string, values ...any) {
	if l.out == nil {
		return
	}
	_, _ = fmt.Fprintf(l.out, "\r\033[K"+format, values...)
	l.shown = true
}

func (l *statusLine) clear() {
	if l.shown {
		_, _ = fmt.Fprint(l.out, "\r\033[K")
		l.shown = false
	}
}
