package authoring

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/consumer/catalogue"
)

// UnknownError names templates that have never been published.
type UnknownError struct {
	Names []string
	Near  map[string]string // by such a name, the known one that was perhaps meant
}

func (e *UnknownError) add(live *catalogue.Catalogue, name string) {
	e.Names = append(e.Names, name)
	var known []string
	for entry := range live.All() {
		known = append(known, entry.Record().Name)
	}
	if meant := strictyaml.Nearest(name, slices.Compact(known)); meant != "" {
		if e.Near == nil {
			e.Near = make(map[string]string)
		}
		e.Near[name] = meant
	}
}

func (e *UnknownError) Error() string {
	lines := make([]string, len(e.Names))
	for i, name := range e.Names {
		lines[i] = "there is no template " + strconv.Quote(name)
		if meant, ok := e.Near[name]; ok {
			lines[i] += ": did you mean " + meant + "?"
		} else {
			lines[i] += ": see meddela templates list --retired"
		}
	}
	return strings.Join(lines, "\n")
}
