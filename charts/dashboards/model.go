package main

// dashboard is what one looks at.
type dashboard struct {
	name, title, about string
	rows               []row
}

// row is panels side by side, under a heading.
type row struct {
	title  string
	height int
	panels []panel
}

type panel struct {
	title, about string
	kind         kind
	unit         unit
	queries      []query
	// warn and alert colour what is above them; 0 is no threshold.
	warn, alert float64
	stacked     bool
}

type kind string

const (
	number kind = "stat"
	graph  kind = "timeseries"
	list   kind = "table"
	bars   kind = "bargauge"
)

// unit is Grafana's name of a unit.
type unit string

const (
	count   unit = "short"
	seconds unit = "s"
	ratio   unit = "percentunit"
	perSec  unit = "ops"
	perHour unit = "short"
	moment  unit = "dateTimeFromNow"
)

type query struct{ expr, legend string }

func one(expr, legend string) []query { return []query{{expr, legend}} }

type object = map[string]any

const width = 24 // of Grafana's grid

var source = object{"type": "prometheus", "uid": "${datasource}"}

func (d *dashboard) json() object {
	var panels []object
	y, id := 0, 1
	for _, r := range d.rows {
		panels = append(panels, object{
			"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": width, "h": 1},
		})
		id++
		y++
		w := width / len(r.panels)
		for i, p := range r.panels {
			panels = append(panels, p.json(id, object{"x": i * w, "y": y, "w": w, "h": r.height}))
			id++
		}
		y += r.height
	}
	return object{
		"uid": "meddela-" + d.name, "title": "meddela / " + d.title, "description": d.about, "tags": []string{"meddela"},
		"schemaVersion": 41, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "10s", "timezone": "",
		"time": object{"from": "now-1h", "to": "now"}, "panels": panels, "annotations": object{"list": []any{}},
		"links":      []object{{"type": "dashboards", "tags": []string{"meddela"}, "title": "meddela", "asDropdown": true, "includeVars": true, "keepTime": true}},
		"templating": object{"list": variables()},
	}
}

func variables() []object {
	choice := func(name, label, expr string) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": source, "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
			"current": object{"text": "All", "value": "$__all"}, "query": object{"query": expr, "refId": name},
		}
	}
	return []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": object{}, "hide": 0},
		choice("namespace", "Namespace", "label_values(meddela_build_info, namespace)"),
		choice("lane", "Lane", "label_values(meddela_build_info, lane)"),
	}
}

func (p *panel) json(id int, place object) object {
	targets := make([]object, len(p.queries))
	for i, q := range p.queries {
		targets[i] = object{
			"refId": string(rune('A' + i)), "datasource": source, "expr": q.expr, "legendFormat": q.legend,
			"instant": p.kind != graph, "range": p.kind == graph, "format": p.format(),
		}
	}
	return object{
		"id": id, "type": string(p.kind), "title": p.title, "description": p.about, "datasource": source, "gridPos": place,
		"targets": targets, "fieldConfig": object{"defaults": p.field(), "overrides": []any{}}, "options": p.options(), "transformations": p.transformations(),
	}
}

func (p *panel) format() string {
	if p.kind == list {
		return "table"
	}
	return "time_series"
}

func (p *panel) field() object {
	field := object{"unit": string(p.unit), "thresholds": p.thresholds(), "noValue": "–"}
	switch p.kind {
	case graph:
		stacking := object{"mode": "none"}
		fill := 5
		if p.stacked {
			stacking, fill = object{"mode": "normal", "group": "A"}, 40
		}
		lines := "off"
		if p.warn > 0 {
			lines = "dashed"
		}
		field["min"] = 0
		field["custom"] = object{
			"drawStyle": "line", "lineInterpolation": "smooth", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never",
			"stacking": stacking, "thresholdsStyle": object{"mode": lines},
		}
	case number, bars:
		field["color"] = object{"mode": "thresholds"}
	}
	return field
}

func (p *panel) thresholds() object {
	steps := []object{{"color": "green", "value": nil}}
	if p.warn > 0 {
		steps = append(steps, object{"color": "orange", "value": p.warn})
	}
	if p.alert > 0 {
		steps = append(steps, object{"color": "red", "value": p.alert})
	}
	return object{"mode": "absolute", "steps": steps}
}

func (p *panel) options() object {
	reduce := object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	switch p.kind {
	case number:
		return object{"reduceOptions": reduce, "colorMode": "background", "graphMode": "none", "textMode": "auto", "justifyMode": "center"}
	case bars:
		return object{"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": true}
	case list:
		return object{"showHeader": true, "cellHeight": "sm"}
	}
	return object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
}

func (p *panel) transformations() []object {
	if p.kind != list {
		return []object{}
	}
	return []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true, "__name__": true}}}}
}
