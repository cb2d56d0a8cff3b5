package authoring

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Kind says what becomes of a template.
type Kind string

const (
	// New is a template of a name that has never been published.
	New Kind = "new"
	// Changed is a version that has never been published, of a template that
	// has been.
	Changed Kind = "changed"
	// Restored is a version that was published before another was.
	Restored Kind = "restored"
	// Revived is the version that was live when its template was retired.
	Revived Kind = "revived"
	// Unchanged is what is so already. Nothing is written.
	Unchanged Kind = "unchanged"
	// Retired is a template that covers no events from then on.
	Retired Kind = "retired"
)

// Change is what a command does to one template.
type Change struct {
	Kind Kind
	// Record is what is to be the last of its name, but for its time.
	Record topology.TemplateRecord
	// Before is what was published last under the name, which may be retired;
	// nil for a New one. It must not be changed.
	Before *topology.TemplateRecord
}

// Ref names the version that the change is to.
func (c *Change) Ref() topology.TemplateRef { return c.Record.Ref() }

// published is the record as it is written: its time is later than that of
// what was published before, by however slow a clock.
func (c *Change) published(at time.Time) topology.TemplateRecord {
	r := c.Record
	r.PublishedAt = at.UTC().Truncate(time.Millisecond)
	if c.Before != nil && !r.PublishedAt.After(c.Before.PublishedAt) {
		r.PublishedAt = c.Before.PublishedAt.Truncate(time.Millisecond).Add(time.Millisecond)
	}
	return r
}

// PlanPublication says what publishing the records changes. Templates that the
// records do not name stay as they are.
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
	change.Before = latest.Record()
	_, before := live.ByRef(r.Ref())
	switch {
	case latest.Ref() == r.Ref() && latest.Record().Retired:
		change.Kind = Revived
	case latest.Ref() == r.Ref():
		change.Kind = Unchanged
	case before:
		change.Kind = Restored
	default:
		change.Kind = Changed
	}
	return change
}

// PlanRetirement says what retiring templates changes. Its error is an
// *UnknownError, which names all that are not known.
func PlanRetirement(live *catalogue.Catalogue, names []string) ([]Change, error) {
	var changes []Change
	var unknown []string
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		latest, known := live.Latest(name)
		if !known {
			unknown = append(unknown, name)
			continue
		}
		change := Change{Kind: Retired, Record: *latest.Record(), Before: latest.Record()}
		if latest.Record().Retired {
			change.Kind = Unchanged
		}
		change.Record.Retired = true
		changes = append(changes, change)
	}
	if len(unknown) > 0 {
		return nil, unknownError(live, unknown...)
	}
	return changes, nil
}

// Overtaken lists the changes that were to be made and are not what the
// catalogue shows: somebody else has published the template since.
func Overtaken(now *catalogue.Catalogue, changes []Change) []Change {
	var overtaken []Change
	for i := range changes {
		c := &changes[i]
		latest, known := now.Latest(c.Record.Name)
		if c.Kind != Unchanged && (!known || latest.Ref() != c.Ref() || latest.Record().Retired != c.Record.Retired) {
			overtaken = append(overtaken, *c)
		}
	}
	return overtaken
}

// Gap is what changes take the only template from.
type Gap struct {
	Type    string           `json:"type"`
	Channel topology.Channel `json:"channel"`
}

// Gaps lists what is covered now, if only for some events, and by no template
// after the changes, sorted.
func Gaps(live *catalogue.Catalogue, changes []Change) []Gap {
	changed := make(map[string]bool, len(changes))
	covered := make(map[Gap]bool)
	for i := range changes {
		r := &changes[i].Record
		changed[r.Name] = true
		if r.Retired {
			continue
		}
		for _, t := range r.Types {
			covered[Gap{t, r.Channel}] = true
		}
	}
	gaps := []Gap{}
	for i := range changes {
		before := changes[i].Before
		if before == nil || before.Retired {
			continue
		}
		for _, t := range before.Types {
			gap := Gap{t, before.Channel}
			byOthers := slices.ContainsFunc(live.Candidates(t, before.Channel), func(e *catalogue.Entry) bool {
				return !changed[e.Record().Name]
			})
			if !covered[gap] && !byOthers {
				gaps = append(gaps, gap)
			}
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Channel, b.Channel))
	})
	return slices.Compact(gaps)
}

// UnknownError names templates that have never been published.
type UnknownError struct {
	Names []string
	Near  map[string]string // by such a name, the known one that was perhaps meant
}

func unknownError(live *catalogue.Catalogue, names ...string) *UnknownError {
	var known []string
	for entry := range live.All() {
		known = append(known, entry.Record().Name)
	}
	e := &UnknownError{Names: names, Near: make(map[string]string)}
	for _, name := range names {
		if near := wording.Nearest(name, known); near != "" {
			e.Near[name] = near
		}
	}
	return e
}

func (e *UnknownError) Error() string {
	lines := make([]string, len(e.Names))
	for i, name := range e.Names {
		hint := "see meddela templates list --retired"
		if near, ok := e.Near[name]; ok {
			hint = "did you mean " + near + "?"
		}
		lines[i] = "there is no template " + strconv.Quote(name) + ": " + hint
	}
	return strings.Join(lines, "\n")
}
