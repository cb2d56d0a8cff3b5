package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

// Format is the form of what commands print.
type Format string

const (
	Table Format = "table"
	JSON  Format = "json"
)

// PrintEither prints v in JSON or t, as was asked for.
func (env *Env) PrintEither(v any, t table.Writer) error {
	if env.Output == JSON {
		return env.PrintJSON(v)
	}
	return env.PrintTable(t)
}

// PrintList is PrintEither with a foot below the table, and with another text in place of a table without rows.
func (env *Env) PrintList(v any, t table.Writer, foot, none string) error {
	switch {
	case env.Output == JSON:
		return env.PrintJSON(v)
	case t.Length() == 0:
		return env.Printf("%s\n", none)
	}
	return errors.Join(env.PrintTable(t), env.Printf("%s", foot))
}

// PrintJSON prints v as one line of JSON.
func (env *Env) PrintJSON(v any) error {
	encoder := json.NewEncoder(env.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// Printf prints to the command's output.
func (env *Env) Printf(format string, values ...any) error {
	_, err := fmt.Fprintf(env.Out, format, values...)
	return err
}

// Print prints v in JSON where that is asked for, and else text about it.
func (env *Env) Print(v any, format string, values ...any) error {
	if env.Output == JSON {
		return env.PrintJSON(v)
	}
	return env.Printf(format, values...)
}

// Done says what was done, or would be but for a dry run.
func Done(dryRun bool, is, what string) string {
	if dryRun {
		is = "would be "
	}
	return is + what
}

// Painted is a cell of a table that is printed with the colours that Paint gave it.
type Painted string

// printable is a table whose cells do not steer the terminal, whatever they bring.
type printable struct{ table.Writer }

// AppendRow leaves numbers as they are: tables align them.
func (t printable) AppendRow(row table.Row, configs ...table.RowConfig) {
	for i, cell := range row {
		kind := reflect.ValueOf(cell).Kind()
		if _, painted := cell.(Painted); !painted && kind > reflect.Float64 {
			row[i] = wording.PrintableLines(fmt.Sprint(cell))
		}
	}
	t.Writer.AppendRow(row, configs...)
}

// NewTable returns a table that is rendered by PrintTable. What it is given as rows
// is printed without controls; colours are in cells that are Painted.
func NewTable(columns ...any) table.Writer {
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
	return printable{t}
}

// PrintTable prints a table no wider than the terminal, if there is one.
func (env *Env) PrintTable(t table.Writer) error {
	if file, ok := env.Out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			t.Style().Size.WidthMax = width
		}
	}
	return env.Printf("%s\n", t.Render())
}

// Paint colours s on a terminal that wants colour.
func (env *Env) Paint(colour text.Color, s string) string {
	if !wantsColour(env.Out) {
		return s
	}
	return text.Colors{colour}.EscapeSeq() + s + text.Reset.EscapeSeq()
}

// wantsColour follows the NO_COLOR convention.
func wantsColour(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// newLogger logs to w: for people on a terminal, in JSON elsewhere.
func newLogger(c *config.Config, w io.Writer) zerolog.Logger {
	level, _ := zerolog.ParseLevel(c.Log.Level) // which the setting allows
	if c.Log.Format == "console" || (c.Log.Format == "auto" && IsTerminal(w)) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !wantsColour(w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
