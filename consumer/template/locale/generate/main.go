// Command generate makes cldr.txt, the table that package locale reads, out of
// the Unicode Consortium's JSON packages cldr-core, cldr-dates-full and
// cldr-numbers-full, unpacked side by side in one folder:
//
//	go run ./generate FOLDER > cldr.txt
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	if err := generate(out, source(os.Args[1])); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(out *bufio.Writer, from source) error {
	core, err := from.core()
	if err != nil {
		return err
	}
	records := make(map[string]record)
	for _, name := range core.locales() {
		if records[name], err = from.record(name, core); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Fprintf(out, "# Made by generate from Unicode CLDR %s. See LICENSE-UNICODE.\n", core.version)
	fmt.Fprintf(out, "@currencies\ncodes=%s\ndigits=%s\n", strings.Join(core.currencies, "|"), core.digits())
	for _, name := range slices.Sorted(maps.Keys(records)) {
		writeRecord(out, name, core.parentOf(name, records), records)
	}
	return nil
}

// record is what is known about one locale, by the keys of the table.
type record map[string]string

// writeRecord writes what the record has that its parent does not have.
func writeRecord(out *bufio.Writer, name, parent string, records map[string]record) {
	fmt.Fprintf(out, "@%s\n", name)
	if parent != "" {
		fmt.Fprintf(out, "parent=%s\n", parent)
	}
	own, inherited := records[name], records[parent]
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if value, have := inherited[key]; !have || value != own[key] {
			fmt.Fprintf(out, "%s=%s\n", key, own[key])
		}
	}
}

// source is the folder of the packages.
type source string

func (s source) read(into any, path ...string) error {
	raw, err := os.ReadFile(filepath.Join(append([]string{string(s)}, path...)...))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
