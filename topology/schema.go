package topology

import (
	"embed"
	"io/fs"
)

//go:embed schema/*.json
var schemas embed.FS

//go:embed asyncapi.yaml
var asyncAPI string

// SchemaNames lists the JSON Schemas (2020-12) of the wire formats. They refer
// to one another by these names.
func SchemaNames() []string {
	entries, _ := fs.ReadDir(schemas, "schema") // cannot fail: it is in the binary
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// Schema returns a JSON Schema by its name, such as "event.json". Its error is
// fs.ErrNotExist, wrapped, for a name that is not one of SchemaNames.
func Schema(name string) ([]byte, error) { return schemas.ReadFile("schema/" + name) }

// AsyncAPI is the AsyncAPI 3 document, in YAML, about every topic of an
// installation. Its references are relative to the topology folder.
func AsyncAPI() string { return asyncAPI }
