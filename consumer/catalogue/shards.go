package catalogue

import (
	"hash/maphash"
	"iter"
	"maps"
)

const shardCount = 256

var seed = maphash.MakeSeed()

// shards is a map that is cheap to change by copying: it is cut into many small
// maps, and a change copies those it touches. The zero value is empty.
type shards[K comparable, V any] struct {
	maps [shardCount]map[K]V
	size int
}

func shardOf[K comparable](key K) int { return int(maphash.Comparable(seed, key) % shardCount) }

func (s *shards[K, V]) get(key K) (V, bool) {
	v, ok := s.maps[shardOf(key)][key]
	return v, ok
}

func (s *shards[K, V]) keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for _, m := range s.maps {
			for k := range m {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// changed is shards while they are being changed, without effect on those that
// they started from.
type changed[K comparable, V any] struct {
	shards[K, V]
	copied [shardCount]bool
}

func change[K comparable, V any](s *shards[K, V]) *changed[K, V] { return &changed[K, V]{shards: *s} }

func (c *changed[K, V]) set(key K, v V) {
	m := c.own(shardOf(key))
	before := len(m)
	m[key] = v
	c.size += len(m) - before
}

func (c *changed[K, V]) remove(key K) {
	m := c.own(shardOf(key))
	before := len(m)
	delete(m, key)
	c.size += len(m) - before
}

func (c *changed[K, V]) own(i int) map[K]V {
	if !c.copied[i] {
		c.copied[i] = true
		c.maps[i] = maps.Clone(c.maps[i])
		if c.maps[i] == nil {
			c.maps[i] = make(map[K]V)
		}
	}
	return c.maps[i]
}
