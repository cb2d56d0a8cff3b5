package catalogue

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/meddela/meddela/topology"
)

// edit makes the next catalogue of one: any number of changes, then done. Its
// cost is that of the changes, whatever the size of the catalogue.
type edit struct {
	byRef    *changed[topology.TemplateRef, *Entry]
	versions *changed[string, []*Entry]
	live     *changed[route, []*Entry]
}

func (c *Catalogue) edit() *edit {
	return &edit{change(&c.byRef), change(&c.versions), change(&c.live)}
}

// done returns the catalogue; the edit must not be used after.
func (e *edit) done() *Catalogue {
	return &Catalogue{byRef: e.byRef.shards, versions: e.versions.shards, live: e.live.shards}
}

// put puts an entry in place of what there was of the same version, or takes
// that out where it is nil; events are routed to what is the latest then.
func (e *edit) put(ref topology.TemplateRef, entry *Entry) {
	old, _ := e.byRef.get(ref)
	one := cmp.Or(entry, old)
	if one == nil {
		return
	}
	e.byRef.put(ref, entry, entry != nil)
	versions, _ := e.versions.get(one.record.Name)
	before := first(versions)
	versions = replaced(versions, byTime, old, entry)
	e.versions.put(one.record.Name, versions, len(versions) > 0)
	if after := first(versions); after != before {
		e.reroute(before, nil)
		e.reroute(after, after)
	}
}

func first(entries []*Entry) *Entry {
	if len(entries) == 0 {
		return nil
	}
	return entries[0]
}

// replaced returns a copy of entries in that order without one and with another,
// which may be the same; nil is none.
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

// reroute takes a version from what it matches and, if it is to be there, puts
// it in its place. Retired, it matches nothing.
func (e *edit) reroute(entry, with *Entry) {
	if entry == nil || entry.record.Retired {
		return
	}
	for _, t := range entry.record.Types { // which may have one twice
		r := route{t, entry.record.Channel}
		entries, _ := e.live.get(r)
		entries = replaced(entries, byPreference, entry, with)
		e.live.put(r, entries, len(entries) > 0)
	}
}

const shardCount = 256

var seed = maphash.MakeSeed()

// shards is a map that is cheap to change by copying: it is cut into many small
// maps, and a change copies those it touches. The zero value is empty.
type shards[K comparable, V any] [shardCount]map[K]V

func shardOf[K comparable](key K) int { return int(maphash.Comparable(seed, key) % shardCount) }

func (s *shards[K, V]) get(key K) (V, bool) {
	v, ok := s[shardOf(key)][key]
	return v, ok
}

func (s *shards[K, V]) size() (n int) {
	for _, m := range s {
		n += len(m)
	}
	return n
}

// changed is shards while they are being changed, without effect on those that
// they started from.
type changed[K comparable, V any] struct {
	shards[K, V]
	copied [shardCount]bool
}

func change[K comparable, V any](s *shards[K, V]) *changed[K, V] { return &changed[K, V]{shards: *s} }

// put sets a key, or removes it.
func (c *changed[K, V]) put(key K, v V, kept bool) {
	i := shardOf(key)
	if !c.copied[i] {
		c.copied[i], c.shards[i] = true, maps.Clone(c.shards[i])
	}
	switch {
	case !kept:
		delete(c.shards[i], key)
	case c.shards[i] == nil:
		c.shards[i] = map[K]V{key: v}
	default:
		c.shards[i][key] = v
	}
}
