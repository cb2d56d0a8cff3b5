// Package charts holds the chart's values to their documentation, their schema and
// the templates that use them.
package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("meddela", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// value is one that the file documents.
type value struct {
	path       string
	documented bool
}

var keyLine = regexp.MustCompile(`^( *)([A-Za-z][A-Za-z0-9]*):(.*)$`)

// values are those of the file: the keys with a value of their own, by path.
func values(text string) (all []value) {
	var path []string
	documented := false
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") {
			documented = documented || strings.HasPrefix(trimmed, "# --")
			continue
		}
		key := keyLine.FindStringSubmatch(line)
		if key == nil {
			documented = false
			continue
		}
		depth := len(key[1]) / 2
		path = append(path[:min(depth, len(path))], key[2])
		holds := strings.TrimSpace(key[3]) == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], key[1]+"  ")
		if !holds || documented {
			all = append(all, value{strings.Join(path, "."), documented})
		}
		if holds && documented { // what is within is documented with it
			for j := i + 1; j < len(lines) && strings.HasPrefix(lines[j], key[1]+"  "); j++ {
				lines[j] = ""
			}
		}
		documented = false
	}
	return all
}

// TestValues: every value is documented, used by a template, and known to the
// schema.
func TestValues(t *testing.T) {
	all := values(read(t, "values.yaml"))
	if len(all) < 90 {
		t.Fatalf("only %d values are found", len(all))
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(read(t, "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("meddela/templates/*")
	if err != nil {
		t.Fatal(err)
	}
	templates := ""
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			templates += read(t, strings.TrimPrefix(file, "meddela/"))
		}
	}
	for _, v := range all {
		keys := strings.Split(v.path, ".")
		if !v.documented {
			t.Errorf("%s has no comment that begins with # --", v.path)
		}
		if !known(schema, schema, keys) {
			t.Errorf("%s is not in values.schema.json", v.path)
		}
		switch last := keys[len(keys)-1]; {
		case keys[0] == "roles" || keys[0] == "lanes": // by name
		case !regexp.MustCompile(`\.` + last + `\b`).MatchString(templates):
			t.Errorf("%s is used by no template", v.path)
		}
	}
	// One that is not there yet is waited for: a pod without it would begin, and end, in vain.
	if strings.Contains(templates, "optional:") {
		t.Error("a secret or a ConfigMap is optional")
	}
	var whole map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "values.yaml")), &whole); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	for key := range properties {
		// Those are for charts that have this one as a dependency.
		if _, ok := whole[key]; !ok && key != "global" && key != "enabled" {
			t.Errorf("the schema has %s, and values.yaml has not", key)
		}
	}
}

// TestSettings: what a template sets is refused among the settings, or would be there twice.
func TestSettings(t *testing.T) {
	files, err := filepath.Glob("meddela/templates/*")
	if err != nil {
		t.Fatal(err)
	}
	var refused []*regexp.Regexp
	for _, m := range regexp.MustCompile(`regexMatch "([^"]*)" \$name`).FindAllStringSubmatch(read(t, "templates/_helpers.tpl"), -1) {
		refused = append(refused, regexp.MustCompile(m[1]))
	}
	sets := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a folder
		}
		for _, m := range regexp.MustCompile(`name: (MEDDELA_[A-Z_]+),`).FindAllStringSubmatch(string(text), -1) {
			sets++
			known := func(r *regexp.Regexp) bool { return r.MatchString(m[1]) }
			if m[1] != "MEDDELA_LOG_FORMAT" && !slices.ContainsFunc(refused, known) {
				t.Errorf("%s: %s may be among the settings too", file, m[1])
			}
		}
	}
	if sets < 30 {
		t.Errorf("only %d variables are found", sets)
	}
}

// known reports whether a schema has a path, and refuses what is beside it.
func known(root, schema map[string]any, keys []string) bool {
	if reference, ok := schema["$ref"].(string); ok {
		definitions := root["$defs"].(map[string]any)
		schema, _ = definitions[strings.TrimPrefix(reference, "#/$defs/")].(map[string]any)
	}
	if len(keys) == 0 {
		return true
	}
	properties, _ := schema["properties"].(map[string]any)
	within, ok := properties[keys[0]].(map[string]any)
	return ok && schema["additionalProperties"] == false && known(root, within, keys[1:])
}
