// Package suppress keeps messages from people who must not get them: addresses that
// a channel does not write to, and a cap on how many messages of a channel an address
// gets in a window of time.
//
// What is suppressed is on a compacted topic, as keyed hashes of addresses only. Redis
// has a copy of it, which is asked about a whole batch of jobs in one round trip, on a
// single server, behind Sentinel and on a cluster. While the copy is not known to be
// complete there are no answers, so that nothing is sent.
package suppress

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meddela/meddela/topology"
)

// List changes what is suppressed, on the topic, and reads it from the copy, which
// must be run meanwhile. Its user in Redis needs HSCAN besides.
type List struct {
	*Copy
	Topic topology.Topic
	// Publish writes records to the topic's one partition.
	Publish func(ctx context.Context, records []topology.Record) error
}

// ErrAddress is the error of a Subject that is no address of its channel.
var ErrAddress = errors.New("it is no address of this channel")

// Add suppresses addresses from now until a time; zero is for good. It returns
// how many are new or end later now: what is suppressed for as long or longer
// already stays as it is. The error is ErrAddress, with nothing added, if one is
// no address of its channel.
func (l *List) Add(ctx context.Context, subjects []Subject, cause topology.Cause, until time.Time) (added int,
	err error) {
	wanted, err := l.suppressions(subjects)
	if err != nil {
		return 0, err
	}
	for i := range wanted {
		wanted[i].Cause, wanted[i].Added, wanted[i].Until = cause, l.now(), until
	}
	return l.add(ctx, wanted)
}

// AddHashes suppresses addresses of a channel for good, by their hashes.
func (l *List) AddHashes(ctx context.Context, c topology.Channel, hashes []topology.AddressHash,
	cause topology.Cause) error {
	wanted := make([]topology.Suppression, len(hashes))
	for i, hash := range hashes {
		wanted[i] = topology.Suppression{Channel: c, Hash: hash, Cause: cause, Added: l.now()}
	}
	_, err := l.add(ctx, wanted)
	return err
}

func (l *List) suppressions(subjects []Subject) ([]topology.Suppression, error) {
	if l.Hasher == nil {
		return nil, ErrNoPepper
	}
	list := make([]topology.Suppression, len(subjects))
	for i, s := range subjects {
		var ok bool
		if list[i], ok = l.suppression(s); !ok {
			return nil, ErrAddress
		}
	}
	return list, nil
}

func (l *List) add(ctx context.Context, wanted []topology.Suppression) (added int, err error) {
	if err := l.begin(ctx); err != nil {
		return 0, err
	}
	all, err := l.entries(ctx, wanted)()
	if err != nil {
		return 0, err
	}
	longest := make(map[string]*topology.Suppression, len(all)) // by subject
	for i := range wanted {
		one := &wanted[i]
		was, ok := longest[one.Subject()]
		if !ok {
			was = l.inForce(all[i])
		}
		if was == nil || !was.Outlasts(one) {
			longest[one.Subject()] = one
			added++
		}
	}
	records := make([]topology.Record, 0, len(longest))
	for _, one := range longest {
		records = append(records, l.record(one))
	}
	return added, l.write(ctx, records)
}

func (l *List) record(s *topology.Suppression) topology.Record {
	return topology.Record{Topic: l.Topic, Key: []byte(s.Key()), Value: s.Append(nil)}
}

// begin catches up with the topic, and writes its first record where there is none. Of
// two who do so at once one meets the other's pepper, if that is another.
func (l *List) begin(ctx context.Context) error {
	if err := l.CatchUp(ctx); err != nil {
		return err
	}
	switch known := l.state.Load(); {
	case known == nil: // since then
		return errUnknown
	case known.topic != emptyTopic:
		return nil
	}
	return l.write(ctx, []topology.Record{l.head()})
}

func (l *List) head() topology.Record {
	key := topology.SuppressionHead(l.Hasher.fingerprint, rand.Text())
	return topology.Record{Topic: l.Topic, Key: []byte(key), Value: []byte("{}")}
}

// write publishes records, and returns when the copy has them.
func (l *List) write(ctx context.Context, records []topology.Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := l.Publish(ctx, records); err != nil {
		return err
	}
	if err := l.CatchUp(ctx); err != nil {
		return fmt.Errorf("it is written, but was not seen to be in force: %w", err)
	}
	return nil
}

// Remove ends suppressions, and returns how many there were.
func (l *List) Remove(ctx context.Context, subjects []Subject) (removed int, err error) {
	list, err := l.suppressions(subjects)
	if err == nil {
		err = l.CatchUp(ctx)
	}
	if err != nil {
		return 0, err
	}
	all, err := l.entries(ctx, list)()
	if err != nil {
		return 0, err
	}
	gone := make(map[string]topology.Record) // by key: an address may come twice
	for _, lines := range all {
		before := len(gone)
		for i := range lines {
			gone[lines[i].Key()] = topology.Record{Topic: l.Topic, Key: []byte(lines[i].Key())}
		}
		if len(gone) > before && l.inForce(lines) != nil {
			removed++
		}
	}
	return removed, l.write(ctx, slices.Collect(maps.Values(gone)))
}

// Prune takes from the topic what has ended, and returns how much that was.
func (l *List) Prune(ctx context.Context) (pruned int, err error) {
	if err := l.CatchUp(ctx); err != nil {
		return 0, err
	}
	return pruned, l.walk(ctx, func(_ int, all []topology.Suppression) error {
		var over []topology.Record
		for i := range all {
			if all[i].Over(l.now()) {
				over = append(over, topology.Record{Topic: l.Topic, Key: []byte(all[i].Key())})
			}
		}
		pruned += len(over)
		if len(over) == 0 {
			return nil
		}
		return l.Publish(ctx, over)
	})
}

// scanCount is how many addresses Redis looks at before it serves others.
const scanCount = 1000

// walk calls f with all that each bucket has, some at a time, in no order. What is
// added or removed meanwhile may be missed, and what is there may come twice. f's error
// ends the walk, and is walk's.
func (c *Copy) walk(ctx context.Context, f func(bucket int, all []topology.Suppression) error) error {
	for bucket := range topology.SuppressionBuckets {
		for cursor := uint64(0); ; {
			pairs, next, err := c.Client.HScan(ctx, c.Keys.Suppressions(bucket), cursor, "", scanCount).Result()
			if err != nil {
				return err
			}
			var all []topology.Suppression
			for pair := range slices.Chunk(pairs, 2) {
				if pair[0] != markField {
					all = append(all, parseLines(pair[0], pair[1])...)
				}
			}
			if err := f(bucket, all); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// Walk calls f with what is suppressed, each address with the suppression that ends
// last, some at a time, in no order. What is added or removed meanwhile may be missed,
// and an address may come twice. f's error ends the walk, and is Walk's.
func (l *List) Walk(ctx context.Context, f func([]topology.Suppression) error) error {
	if err := l.CatchUp(ctx); err != nil {
		return err
	}
	return l.walk(ctx, func(_ int, all []topology.Suppression) error {
		var found []topology.Suppression
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].Subject() == all[0].Subject() {
				n++
			}
			if last := l.inForce(all[:n]); last != nil {
				found = append(found, *last)
			}
			all = all[n:]
		}
		if len(found) == 0 {
			return nil
		}
		return f(found)
	})
}

// Count is how many addresses a channel does not write to for one cause.
type Count struct {
	Channel   topology.Channel `json:"channel"`
	Cause     topology.Cause   `json:"reason"`
	Addresses int              `json:"addresses"`
	Ending    int              `json:"ending"` // of them: those that are not for good
}

// Counts walks the list and counts its entries, by channel and cause.
func (l *List) Counts(ctx context.Context) ([]Count, error) {
	counts := make(map[Count]Count) // by those that count none
	err := l.Walk(ctx, func(entries []topology.Suppression) error {
		for i := range entries {
			kind := Count{Channel: entries[i].Channel, Cause: entries[i].Cause}
			count := cmp.Or(counts[kind], kind)
			count.Addresses++
			if !entries[i].Until.IsZero() {
				count.Ending++
			}
			counts[kind] = count
		}
		return nil
	})
	return slices.SortedFunc(maps.Values(counts), func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Cause, b.Cause))
	}), err
}
