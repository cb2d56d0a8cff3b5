package charts

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// dashboard is what the tests look at of a Grafana dashboard.
type dashboard struct {
	UID, Title string
	Tags       []string
	Panels     []struct {
		ID          int
		Type, Title string
		GridPos     struct{ X, Y, W, H int }
		Datasource  struct{ UID string }
		Targets     []struct {
			RefID, Expr string
			Datasource  struct{ UID string }
		}
	}
	Templating struct{ List []struct{ Name string } }
}

// TestDashboards: each dashboard has its own address and the three choices at the top, and every panel has an id of its
// own, a title, room of its own and queries of the data source and namespace that were
// chosen.
func TestDashboards(t *testing.T) {
	files, err := filepath.Glob("meddela/files/dashboards/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			var d dashboard
			if err := json.Unmarshal([]byte(read(t, "files/dashboards/"+name+".json")), &d); err != nil {
				t.Fatal(err)
			}
			if d.UID != "meddela-"+name || d.Title == "" || len(d.Tags) != 1 || d.Tags[0] != "meddela" {
				t.Errorf("uid %q, title %q, tags %q", d.UID, d.Title, d.Tags)
			}
			var choices []string
			for _, choice := range d.Templating.List {
				choices = append(choices, choice.Name)
			}
			if got := strings.Join(choices, " "); got != "datasource namespace lane" {
				t.Errorf("choices: %s", got)
			}
			d.checkPanels(t)
		})
	}
}

func (d *dashboard) checkPanels(t *testing.T) {
	ids := map[int]string{}
	taken := map[[2]int]string{} // cells of the grid
	for _, p := range d.Panels {
		if other, ok := ids[p.ID]; ok || p.Title == "" {
			t.Errorf("panel %d is %q, and %q", p.ID, p.Title, other)
		}
		ids[p.ID] = p.Title
		if p.GridPos.W < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s does not fit the grid: %+v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s has %d queries, of %s", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || !strings.Contains(target.Expr, `namespace=~"$namespace"`) {
				t.Errorf("%s: query %s is not of the chosen namespace: %s", p.Title, target.RefID, target.Expr)
			}
		}
	}
}
