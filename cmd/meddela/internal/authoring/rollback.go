package authoring

import (
	"fmt"
	"strings"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// PlanRollback says what going back to a version of a template changes. The
// version may be shortened to its first characters; without one it is what was
// there before the last publication: of a template that is live the version
// published before, of a retired one the version that was live.
//
// Its error is an *UnknownError, a *VersionError or a *NoOlderError.
func PlanRollback(live *catalogue.Catalogue, name, version string) (Change, error) {
	latest, known := live.Latest(name)
	if !known {
		return Change{}, unknownError(live, name)
	}
	versions := versionsOf(live, name)
	if version != "" {
		return toVersion(live, name, version, versions)
	}
	switch {
	case latest.Record().Retired:
		return publication(live, *latest.Record()), nil
	case len(versions) == 1:
		return Change{}, &NoOlderError{latest.Ref()}
	}
	return publication(live, *versions[1].Record()), nil
}

// versionsOf lists the versions of a template, the most recently published
// first.
func versionsOf(live *catalogue.Catalogue, name string) []*catalogue.Entry {
	var versions []*catalogue.Entry
	for entry := range live.All() {
		if entry.Record().Name == name {
			versions = append(versions, entry)
		}
	}
	return versions
}

func toVersion(live *catalogue.Catalogue, name, version string, versions []*catalogue.Entry) (Change, error) {
	var fits []*catalogue.Entry
	known := make([]string, len(versions))
	for i, entry := range versions {
		known[i] = entry.Record().Version
		if strings.HasPrefix(known[i], version) {
			fits = append(fits, entry)
		}
	}
	if len(fits) != 1 {
		return Change{}, &VersionError{Name: name, Version: version, Fits: len(fits), Known: known}
	}
	return publication(live, *fits[0].Record()), nil
}

// VersionError is the error of a version that does not name one.
type VersionError struct {
	Name, Version string
	Fits          int      // how many versions begin with it
	Known         []string // the most recently published first
}

// maxNamed is how many of a long list an error names.
const maxNamed = 10

func (e *VersionError) Error() string {
	known := e.Known
	if len(known) > maxNamed {
		known = append(known[:maxNamed:maxNamed], "…")
	}
	what := "there is no version " + e.Version + " of " + e.Name
	if e.Fits > 1 {
		what = fmt.Sprintf("%d versions of %s begin with %s: give more of it", e.Fits, e.Name, e.Version)
	}
	return what + ": there are " + strings.Join(known, ", ")
}

// NoOlderError is the error of going back from a template's only version.
type NoOlderError struct{ Ref topology.TemplateRef }

func (e *NoOlderError) Error() string {
	name, _ := e.Ref.Split()
	return string(e.Ref) + " is the only version of its template: to stop it, use meddela templates retire " + name
}
