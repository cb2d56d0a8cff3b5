// Package samples holds the templates and events that a demonstration of
// meddela runs on.
package samples

import (
	"embed"
	"io/fs"
)

// The prefix takes in the folder of partials, whose name starts with _.
//
//go:embed all:templates
var folder embed.FS

// Templates is a folder of templates, as package authoring loads it.
func Templates() fs.FS {
	templates, err := fs.Sub(folder, "templates")
	if err != nil {
		panic("samples: the name of the embedded folder is not valid: " + err.Error())
	}
	return templates
}
