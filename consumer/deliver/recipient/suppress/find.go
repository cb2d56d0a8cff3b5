package suppress

import (
	"context"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/topology"
)

// Subject is an address on a channel.
type Subject struct {
	Channel topology.Channel
	Address string
}

// suppression is that of an address, of no cause yet; ok is false for what is no
// address of its channel, and where there is no pepper.
func (c *Copy) suppression(s Subject) (of topology.Suppression, ok bool) {
	normal, ok := address.Normalize(s.Channel, s.Address, c.Region)
	if !ok || c.Hasher == nil {
		return of, false
	}
	return topology.Suppression{Channel: s.Channel, Hash: c.Hasher.Hash(normal)}, true
}

func (c *Copy) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Find returns what is suppressed at the moment, for each subject; nil where nothing
// is, as with what is no address. With an error nobody knows.
func (c *Copy) Find(ctx context.Context, subjects []Subject) ([]*topology.Suppression, error) {
	return c.find(ctx, subjects)()
}

// find begins Find, and returns what waits for it.
func (c *Copy) find(ctx context.Context, subjects []Subject) (wait func() ([]*topology.Suppression, error)) {
	of := make([]topology.Suppression, 0, len(subjects))
	which := make([]int, 0, len(subjects)) // each of them is about
	for i, s := range subjects {
		if one, ok := c.suppression(s); ok {
			of, which = append(of, one), append(which, i)
		}
	}
	read := c.entries(ctx, of)
	return func() ([]*topology.Suppression, error) {
		all, err := read()
		if err != nil {
			return nil, err
		}
		found := make([]*topology.Suppression, len(subjects))
		for i := range all {
			found[which[i]] = c.inForce(all[i])
		}
		return found, nil
	}
}

// inForce is of an address's suppressions the one that ends last; nil when all are over.
func (c *Copy) inForce(all []topology.Suppression) (last *topology.Suppression) {
	for i := range all {
		if one := &all[i]; !one.Over(c.now()) && (last == nil || !last.Outlasts(one)) {
			last = one
		}
	}
	return last
}

// entries begins to read what there is of addresses, whatever is over, and returns what
// waits for it. It fails unless the copy is known to be complete.
func (c *Copy) entries(ctx context.Context, of []topology.Suppression) (wait func() ([][]topology.Suppression, error)) {
	now, err := c.known()
	if err != nil || len(of) == 0 {
		return func() ([][]topology.Suppression, error) { return nil, err }
	}
	lookups := make([]lookup, len(of))
	for i := range of {
		lookups[i] = lookup{of[i].Hash.Bucket(), of[i].Subject()}
	}
	read := c.read(ctx, lookups)
	return func() ([][]topology.Suppression, error) {
		values, err := read()
		if err != nil {
			return nil, err
		}
		all := make([][]topology.Suppression, len(of))
		for i, value := range values {
			if err := now.has(value[0]); err != nil {
				return nil, err
			}
			if value[1] != "" {
				all[i] = parseLines(lookups[i].subject, value[1])
			}
		}
		return all, nil
	}
}
