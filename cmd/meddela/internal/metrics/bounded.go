package metrics

import "sync"

// Other is the label of what is beyond a limit.
const Other = "other"

// names bounds how many different labels there are.
type names struct {
	most int

	mu   sync.RWMutex
	seen map[string]bool
}

func newNames(most int) *names { return &names{most: most, seen: make(map[string]bool)} }

// label is the name, or Other if there are too many.
func (n *names) label(name string) string {
	n.mu.RLock()
	known := n.seen[name]
	n.mu.RUnlock()
	if known {
		return name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.seen[name] && len(n.seen) >= n.most {
		return Other
	}
	n.seen[name] = true
	return name
}

// cache keeps what has been looked up by labels, which is several times as fast
// as to look it up again.
type cache[K comparable, V any] struct {
	mu   sync.RWMutex
	of   map[K]V
	make func(K) V
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
	if v, ok = c.of[key]; !ok {
		v = c.make(key)
		c.of[key] = v
	}
	return v
}
