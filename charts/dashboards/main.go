// Command dashboards writes the Grafana dashboards of the chart: run
// `go run ./charts/dashboards` after a change here.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := filepath.Join("charts", "meddela", "files", "dashboards")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := write(dir); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range all() {
		text, err := json.MarshalIndent(d.json(), "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, d.name+".json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
