package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Result is what was measured.
type Result interface {
	// Tables shows it to people.
	Tables() []Table
}

// Table is figures for people.
type Table struct {
	Title    string
	Columns  []string
	Rows     [][]string
	Verdicts []Verdict
}

// Verdict holds a figure against its goal.
type Verdict struct {
	Text string
	Met  bool
}

// Comparisons are several measurements of a kind.
type Comparisons []*Comparison

// Tables implements Result.
func (cs Comparisons) Tables() []Table {
	var tables []Table
	for _, c := range cs {
		tables = append(tables, c.Tables()...)
	}
	return tables
}

// Tables implements Result.
func (c *Comparison) Tables() []Table {
	processes := slices.Sorted(maps.Keys(c.Sides[0].Micros))
	t := Table{Title: c.Title, Columns: []string{"", c.What + "/s", "least", "most"}}
	for _, p := range processes {
		t.Columns = append(t.Columns, "µs CPU "+p)
	}
	for _, s := range c.Sides {
		row := []string{s.Name, whole(s.Median), whole(s.Low), whole(s.High)}
		for _, p := range processes {
			row = append(row, fmt.Sprintf("%.2f", s.Micros[p]))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Verdicts = []Verdict{{
		Text: fmt.Sprintf("%s at %.2f of %s (by round %.2f to %.2f; by CPU time %.2f); the goal is %.2f",
			c.Sides[0].Name, c.Ratio, c.Sides[1].Name, c.RatioLow, c.RatioHigh, c.CPURatio, c.Goal),
		Met: c.Met(),
	}}
	return []Table{t}
}

// whole is a number with its thousands apart.
func whole(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return strings.Join(parts, " ")
}

// coresTable shows how busy processes were.
func coresTable(title string, cores map[string]float64) Table {
	t := Table{Title: title, Columns: []string{"process", "CPUs"}}
	for _, name := range slices.Sorted(maps.Keys(cores)) {
		t.Rows = append(t.Rows, []string{name, fmt.Sprintf("%.2f", cores[name])})
	}
	return t
}
