package catalogue

import (
	"hash/maphash"
	"maps"
)

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
