package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/topology"
)

// outputFormat is the form of what commands print.
type outputFormat string

const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
)

func (f *outputFormat) String() string { return string(*f) }
func (f *outputFormat) Type() string   { return "format" }

// Set reads the flag.
func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case outputTable, outputJSON:
		*f = outputFormat(s)
		return nil
	}
	return fmt.Errorf("use %s or %s", outputTable, outputJSON)
}

// printJSON prints v as one line of JSON.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (a *app) printf(format string, values ...any) error {
	_, err := fmt.Fprintf(a.out, format, values...)
	return err
}

// newTable returns a table that is rendered by printTable.
func newTable(columns ...any) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = false
	style.Format.Header = text.FormatUpper
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	if len(columns) > 0 {
		t.AppendHeader(columns)
	}
	return t
}

func (a *app) printTable(t table.Writer) error {
	if width := terminalWidth(a.out); width > 0 {
		t.Style().Size.WidthMax = width
	}
	return a.printf("%s\n", t.Render())
}

// paint colours s on a terminal that wants colour.
func (a *app) paint(colour text.Color, s string) string {
	if !wantsColour(a.out) {
		return s
	}
	return text.Colors{colour}.EscapeSeq() + s + text.Reset.EscapeSeq()
}

// wantsColour follows the NO_COLOR convention.
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth is in columns; 0 when w is no terminal.
func terminalWidth(w io.Writer) int {
	if file, ok := w.(*os.File); ok && isTerminal(w) {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// newLogger logs to w: for people on a terminal, in JSON elsewhere.
func newLogger(settings LogSettings, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(settings.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if settings.Format == "console" || (settings.Format == "auto" && isTerminal(w)) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !wantsColour(w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// laneFlag is a lane on the command line.
type laneFlag topology.Lane

func (f *laneFlag) String() string { return string(*f) }
func (f *laneFlag) Type() string   { return "lane" }

// Set reads the flag.
func (f *laneFlag) Set(s string) error {
	lane, err := topology.ParseLane(s)
	*f = laneFlag(lane)
	return err
}

// addLaneFlag adds --lane to a command that works on one lane.
func addLaneFlag(cmd *cobra.Command, lane *topology.Lane) {
	cmd.Flags().Var((*laneFlag)(lane), "lane", "realtime or batch")
	complete(cmd, "lane", string(topology.Realtime), string(topology.Batch))
}

// requireLane is misuse when --lane was not given.
func requireLane(lane topology.Lane) error {
	if lane == "" {
		return misusef("--lane is missing: use --lane %s or --lane %s", topology.Realtime, topology.Batch)
	}
	return nil
}

// texts are named strings as strings.
func texts[T ~string](named []T) []string {
	all := make([]string, len(named))
	for i, n := range named {
		all[i] = string(n)
	}
	return all
}

// count is a number with the word that it takes.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
