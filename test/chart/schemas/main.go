// Command schemas writes strict JSON schemas of Kubernetes objects for kubeconform, made of an OpenAPI document: that
// of the k8s.io/kubernetes module, or that of a running API server, which has its custom resources too.
//
//	schemas OPENAPI.json FOLDER
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meddela/meddela/test/script"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: schemas OPENAPI.json FOLDER")
		os.Exit(2)
	}
	if err := script.Try(func() { convert(os.Args[1], os.Args[2]) }); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

type object = map[string]any

// shared is the file with all definitions, which each kind's file refers to.
const shared = "definitions.json"

func convert(from, into string) {
	var document struct{ Definitions map[string]object }
	if err := json.Unmarshal(script.Must(os.ReadFile(from)), &document); err != nil {
		script.Check(fmt.Errorf("%s: %w", from, err))
	}
	script.Check(os.MkdirAll(into, 0o755))
	kinds := 0
	for name, definition := range document.Definitions {
		kind, ok := kindOf(definition)
		tighten(name, definition)
		if ok {
			write(filepath.Join(into, kind.file()), kind.schema(name))
			kinds++
		}
	}
	write(filepath.Join(into, shared), object{"definitions": document.Definitions})
	fmt.Println(kinds, "kinds")
}

// kind is what an object's apiVersion and kind say.
type kind struct{ group, version, name string }

// kindOf is a definition's kind; lists and options, which stand for several, have none.
func kindOf(definition object) (kind, bool) {
	of, _ := definition["x-kubernetes-group-version-kind"].([]any)
	if len(of) != 1 {
		return kind{}, false
	}
	only, _ := of[0].(object)
	group, _ := only["group"].(string)
	version, _ := only["version"].(string)
	name, _ := only["kind"].(string)
	return kind{group, version, name}, name != ""
}

// file is the name by which kubeconform looks a kind up.
func (k kind) file() string {
	name := strings.ToLower(k.name)
	if k.group != "" {
		first, _, _ := strings.Cut(k.group, ".")
		name += "-" + first
	}
	return name + "-" + k.version + ".json"
}

func (k kind) schema(definition string) object {
	version := k.version
	if k.group != "" {
		version = k.group + "/" + k.version
	}
	return object{
		"$schema":    "http://json-schema.org/draft-07/schema#",
		"allOf":      []any{object{"$ref": shared + "#/definitions/" + definition}},
		"required":   []any{"apiVersion", "kind"},
		"properties": object{"apiVersion": object{"const": version}, "kind": object{"const": k.name}},
	}
}

// tighten makes a definition refuse what it does not name. Two types are texts or numbers, which OpenAPI 2 cannot say.
func tighten(name string, definition object) {
	switch {
	case strings.HasSuffix(name, ".IntOrString"):
		definition["type"] = []any{"string", "integer"}
		delete(definition, "format")
	case strings.HasSuffix(name, ".Quantity"):
		definition["type"] = []any{"string", "number"}
	default:
		tightenAny(definition)
	}
}

// tightenAny does so to a schema, to each of a list, and to nothing else.
func tightenAny(value any) {
	list, _ := value.([]any)
	for _, each := range list {
		tightenAny(each)
	}
	schema, ok := value.(object)
	if !ok {
		return
	}
	if reference, ok := schema["$ref"].(string); ok {
		clear(schema) // what stands beside a reference does not count
		schema["$ref"] = shared + reference
		return
	}
	if _, ok := schema["format"].(string); ok { // not a property of that name
		delete(schema, "format")
	}
	if schema["x-kubernetes-int-or-string"] == true {
		schema["type"] = []any{"string", "integer"}
	}
	properties, ok := schema["properties"].(object)
	if ok && schema["x-kubernetes-preserve-unknown-fields"] != true {
		if _, said := schema["additionalProperties"]; !said {
			schema["additionalProperties"] = false
		}
	}
	for _, each := range properties {
		tightenAny(each)
	}
	for _, key := range []string{"items", "additionalProperties", "allOf", "anyOf", "oneOf"} {
		tightenAny(schema[key])
	}
}

func write(path string, value any) {
	script.Check(os.WriteFile(path, script.Must(json.Marshal(value)), 0o644))
}
