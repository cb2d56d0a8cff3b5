package authoring

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/nearest"
)

// Kind says what becomes of a template.
type Kind string

const (
	New       Kind = "new"       // a name that has never been published
	Changed   Kind = "changed"   // a new version of a name that has been
	Restored  Kind = "restored"  // a version that was published before another was
	Revived   Kind = "revived"   // the version that was live when its template was retired
	Unchanged Kind = "unchanged" // so already: nothing is written
	Retired   Kind = "retired"   // covers no events from then on
)

// Change is what a command does to one template.
type Change struct {
	Kind   Kind
	Record topology.TemplateRecord  // to be the last of its name, but for its time
	Before *topology.TemplateRecord // what was published last, perhaps retired; nil for a New one
}

// CheckTypes says which changes concern event types that are not among those of patterns
// such as order_*: of what is to be live, and of what is live by that name. No patterns
// are all types.
func CheckTypes(changes []Change, patterns []string) error {
	var foreign []error
	for _, c := range changes {
		types := c.Record.Types
		if c.Before != nil {
			types = slices.Concat(types, c.Before.Types)
		}
		for _, t := range types {
			isOurs := func(pattern string) bool { ours, _ := path.Match(pattern, t); return ours }
			if len(patterns) > 0 && c.Kind != Unchanged && !slices.ContainsFunc(patterns, isOurs) {
				foreign = append(foreign, fmt.Errorf("%s is for %s, which is not among the types of MEDDELA_TEMPLATES_TYPES",
					c.Record.Name, strconv.Quote(t)))
				break
			}
		}
	}
	return errors.Join(foreign...)
}

// PlanPublication says what publishing the records changes; other templates stay as they are.
func PlanPublication(live *catalogue.Catalogue, records []topology.TemplateRecord) []Change {
	changes := make([]Change, len(records))
	for i, r := range records {
		changes[i] = publication(live, r)
	}
	return changes
}

func publication(live *catalogue.Catalogue, r topology.TemplateRecord) Change {
	r.Retired = false
	change := Change{Kind: New, Record: r}
	latest, known := live.Latest(r.Name)
	if !known {
		return change
	}
	change.Before, change.Kind = latest.Record(), Changed
	_, before := live.ByRef(r.Ref())
	switch {
	case latest.Ref() == r.Ref() && latest.Record().Retired:
		change.Kind = Revived
	case latest.Ref() == r.Ref():
		change.Kind = Unchanged
	case before:
		change.Kind = Restored
	}
	return change
}

// PlanRetirement says what retiring templates changes. Its error names all that are not known.
func PlanRetirement(live *catalogue.Catalogue, names []string) ([]Change, error) {
	var changes []Change
	var unknown []error
	for i, name := range names {
		latest, known := live.Latest(name)
		switch {
		case slices.Contains(names[:i], name):
			continue
		case !known:
			unknown = append(unknown, unknownError(live, name))
			continue
		}
		change := Change{Kind: Retired, Record: *latest.Record(), Before: latest.Record()}
		if latest.Record().Retired {
			change.Kind = Unchanged
		}
		change.Record.Retired = true
		changes = append(changes, change)
	}
	return changes, errors.Join(unknown...)
}

// PlanRollback says what going back to a version, or to the first characters of one, changes.
// Without one it is what was there before the last publication, or the retirement.
func PlanRollback(live *catalogue.Catalogue, name, version string) (Change, error) {
	latest, known := live.Latest(name)
	if !known {
		return Change{}, unknownError(live, name)
	}
	var versions []string // the most recently published first
	var fits []*catalogue.Entry
	for entry := range live.All() {
		if r := entry.Record(); r.Name == name {
			versions = append(versions, r.Version)
			if strings.HasPrefix(r.Version, version) {
				fits = append(fits, entry)
			}
		}
	}
	switch {
	case version == "" && latest.Record().Retired:
		return publication(live, *latest.Record()), nil
	case version == "" && len(versions) == 1:
		return Change{}, fmt.Errorf("%s is the only version of its template: to stop it, use meddela templates retire %s",
			latest.Ref(), name)
	case version == "":
		return publication(live, *fits[1].Record()), nil
	case len(fits) == 1:
		return publication(live, *fits[0].Record()), nil
	}
	what := "there is no version " + version + " of " + name
	if len(fits) > 1 {
		what = fmt.Sprintf("%d versions of %s begin with %s: give more of it", len(fits), name, version)
	}
	return Change{}, errors.New(what + ": there are " + strings.Join(wording.Most(10, versions), ", "))
}

func unknownError(live *catalogue.Catalogue, name string) error {
	var known []string
	for entry := range live.All() {
		known = append(known, entry.Record().Name)
	}
	hint := cmp.Or(nearest.DidYouMean(name, known), ": see meddela templates list --retired")
	return errors.New("there is no template " + strconv.Quote(name) + hint)
}

// Proposed is the catalogue after the changes, and the versions that they would write.
func Proposed(live *catalogue.Catalogue, changes []Change,
	at time.Time) (*catalogue.Catalogue, []topology.TemplateRef, error) {
	written := recordsOf(changes, at)
	if len(written) == 0 {
		return live, refsOf(nil), nil
	}
	var all []topology.TemplateRecord
	for entry := range live.All() {
		all = append(all, *entry.Record())
	}
	proposed, err := catalogue.New(append(all, written...)...)
	return proposed, refsOf(written), err
}

// recordsOf are what changes write at that time, or a little later where it takes
// that to be later than what was published before, by however slow a clock.
func recordsOf(changes []Change, at time.Time) (records []topology.TemplateRecord) {
	for _, c := range changes {
		if c.Kind == Unchanged {
			continue
		}
		r := c.Record
		r.PublishedAt = at.UTC().Truncate(time.Millisecond)
		if c.Before != nil && !r.PublishedAt.After(c.Before.PublishedAt) {
			r.PublishedAt = c.Before.PublishedAt.Truncate(time.Millisecond).Add(time.Millisecond)
		}
		records = append(records, r)
	}
	return records
}

func refsOf(records []topology.TemplateRecord) []topology.TemplateRef {
	refs := make([]topology.TemplateRef, len(records))
	for i := range records {
		refs[i] = records[i].Ref()
	}
	return refs
}

// Gap is what changes take the only template from.
type Gap struct {
	Type    string           `json:"type"`
	Channel topology.Channel `json:"channel"`
}

// Gaps lists what is covered in one catalogue, if only for some events, and not in the other.
func Gaps(before, after *catalogue.Catalogue) []Gap {
	gaps := []Gap{}
	for entry := range before.AllLive() {
		r := entry.Record()
		for _, t := range r.Types {
			if len(after.Candidates(t, r.Channel)) == 0 {
				gaps = append(gaps, Gap{t, r.Channel})
			}
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Channel, b.Channel))
	})
	return slices.Compact(gaps)
}
