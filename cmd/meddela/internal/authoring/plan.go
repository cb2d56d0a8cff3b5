package authoring

import (
	"time"

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

func (k Kind) writes() bool { return k != Unchanged }

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
	unknown := &UnknownError{}
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		latest, known := live.Latest(name)
		if !known {
			unknown.add(live, name)
			continue
		}
		change := Change{Kind: Retired, Record: *latest.Record(), Before: latest.Record()}
		if latest.Record().Retired {
			change.Kind = Unchanged
		}
		change.Record.Retired = true
		changes = append(changes, change)
	}
	if len(unknown.Names) > 0 {
		return nil, unknown
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
		if c.Kind.writes() && (!known || latest.Ref() != c.Ref() || latest.Record().Retired != c.Record.Retired) {
			overtaken = append(overtaken, *c)
		}
	}
	return overtaken
}
