package metrics

import "sync"

// Other is the label of what is beyond a limit.
const Other = "other"

// newNames bounds how many different labels there are: what is beyond is Other.
func newNames(most int) *cache[string, string] {
	names := newCache(func(name string) string { return name })
	names.most, names.beyond = most, Other
	return names
}

// cache keeps what has been looked up by labels, which is several times as fast
// as to look it up again.
type cache[K comparable, V any] struct {
	make   func(K) V
	most   int // how many it keeps, if not 0
	beyond V   // what there is for all others

	mu sync.RWMutex
	of map[K]V
}

func newCache[K comparable, V any](makes func(K) V) *cache[K, V] {
	return &cache[K, V]{of: make(map[K]V), make: makes}
}

func (c *cache[K, V]) get(key K) V {
	c.mu.RLock()
	v, ok := c.of[key]
	c.mu.RUnlock()
	if ok {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.of[key]; ok {
		return v
	}
	if c.most > 0 && len(c.of) >= c.most {
		return c.beyond
	}
	v = c.make(key)
	c.of[key] = v
	return v
}
