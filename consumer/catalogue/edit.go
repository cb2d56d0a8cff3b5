package catalogue

import (
	"slices"

	"github.com/meddela/meddela/topology"
)

// edit makes the next catalogue of one: any number of changes, then done. Its
// cost is that of the changes, whatever the size of the catalogue.
type edit struct {
	byRef    *changed[topology.TemplateRef, *Entry]
	versions *changed[string, []*Entry]
	live     *changed[route, []*Entry]
	types    *changed[string, int]
}

func (c *Catalogue) edit() *edit {
	return &edit{change(&c.byRef), change(&c.versions), change(&c.live), change(&c.types)}
}

// done returns the catalogue; the edit must not be used after.
func (e *edit) done() *Catalogue {
	return &Catalogue{byRef: e.byRef.shards, versions: e.versions.shards, live: e.live.shards, types: e.types.shards}
}

// put adds a version, in place of what there was of the same version.
func (e *edit) put(entry *Entry) {
	old, _ := e.byRef.get(entry.ref)
	e.byRef.set(entry.ref, entry)
	e.exchange(entry.record.Name, old, entry)
}

// remove takes a version out. When it was the latest, the one published before
// it becomes that again.
func (e *edit) remove(ref topology.TemplateRef) {
	old, ok := e.byRef.get(ref)
	if !ok {
		return
	}
	e.byRef.remove(ref)
	e.exchange(old.record.Name, old, nil)
}

// exchange replaces a version of a template, either side of which may be nil,
// and routes events to what is now its latest.
func (e *edit) exchange(name string, old, entry *Entry) {
	versions, _ := e.versions.get(name)
	before := first(versions)
	versions = replaced(versions, byTime, old, entry)
	if len(versions) == 0 {
		e.versions.remove(name)
	} else {
		e.versions.set(name, versions)
	}
	if after := first(versions); after != before {
		e.reroute(before, before, nil, -1)
		e.reroute(after, nil, after, 1)
	}
}

func first(entries []*Entry) *Entry {
	if len(entries) == 0 {
		return nil
	}
	return entries[0]
}

// replaced returns a copy of entries in that order without one and with another.
func replaced(entries []*Entry, order func(a, b *Entry) int, without, with *Entry) []*Entry {
	next := make([]*Entry, 0, len(entries)+1)
	for _, e := range entries {
		if e != without {
			next = append(next, e)
		}
	}
	if with != nil {
		at, _ := slices.BinarySearchFunc(next, with, order)
		next = slices.Insert(next, at, with)
	}
	return next
}

// reroute takes a version from what it matches, or puts it there, and counts it
// with its event types.
func (e *edit) reroute(entry, without, with *Entry, count int) {
	for _, r := range routes(entry) {
		entries, _ := e.live.get(r)
		if entries = replaced(entries, byPreference, without, with); len(entries) > 0 {
			e.live.set(r, entries)
		} else {
			e.live.remove(r)
		}
		if n, _ := e.types.get(r.eventType); n+count > 0 {
			e.types.set(r.eventType, n+count)
		} else {
			e.types.remove(r.eventType)
		}
	}
}

// routes lists what a version matches, each once; nothing when it is retired.
func routes(entry *Entry) []route {
	if entry == nil || entry.record.Retired {
		return nil
	}
	var all []route
	for _, t := range entry.record.Types {
		if r := (route{t, entry.record.Channel}); !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}
