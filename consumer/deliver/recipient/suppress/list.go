// Package suppress keeps messages from people who must not get them: a list in
// Redis of addresses that a channel does not write to, and a cap on how many
// messages of a channel an address gets in a window of time.
//
// Redis has keyed hashes of addresses only. Both ask about a whole batch of
// jobs in one round trip, on a single server, behind Sentinel and on a cluster.
package suppress

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
)

// List is the suppression list in Redis. Several goroutines may use it. Its
// user in Redis needs GET, MGET, SET, DEL, SCAN, EVAL and EVALSHA.
type List struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	Hasher *Hasher
	// Now is the clock by which suppressions end. Default time.Now.
	Now func() time.Time
}

// Subject is an address on a channel.
type Subject struct {
	Channel topology.Channel
	Address string
}

var (
	// ErrAddress is the error of a Subject that is no address of its channel.
	ErrAddress = errors.New("it is no address of this channel")
	// ErrPepper says that this process would find none of the addresses in Redis.
	ErrPepper = errors.New("the suppressed addresses in Redis are hashed with another pepper than this process was given")
)

// hash is a subject's; ok is false for what is no address.
func (l *List) hash(s Subject) (hash topology.AddressHash, ok bool) {
	normal, ok := address.Normalize(s.Channel, s.Address)
	if !ok {
		return "", false
	}
	return l.Hasher.Hash(normal), true
}

func (l *List) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// Find returns what is suppressed at the moment, for each subject; nil where
// nothing is, as with what is no address.
func (l *List) Find(ctx context.Context, subjects []Subject) ([]*Entry, error) {
	return l.find(ctx, subjects)()
}

// find begins Find, and returns what waits for it.
func (l *List) find(ctx context.Context, subjects []Subject) (wait func() ([]*Entry, error)) {
	found := make([]*Entry, len(subjects))
	keys := make([]string, 0, len(subjects))
	hashes := make([]topology.AddressHash, 0, len(subjects))
	which := make([]int, 0, len(subjects)) // each key is about
	for i, s := range subjects {
		if hash, ok := l.hash(s); ok {
			keys, hashes = append(keys, l.Keys.Suppression(s.Channel, hash)), append(hashes, hash)
			which = append(which, i)
		}
	}
	if len(keys) == 0 {
		return func() ([]*Entry, error) { return found, nil }
	}
	read := l.read(ctx, keys...)
	return func() ([]*Entry, error) {
		values, err := read()
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			found[which[i]] = l.entry(subjects[which[i]].Channel, hashes[i], value)
		}
		return found, nil
	}
}

// entry is an entry by its value in Redis; nil where there is none, or it is over.
func (l *List) entry(channel topology.Channel, hash topology.AddressHash, value any) *Entry {
	text, _ := value.(string)
	e := parseEntry(text)
	if text == "" || e.over(l.now()) {
		return nil
	}
	e.Channel, e.Hash = channel, hash
	return &e
}

// Add suppresses addresses from now until a time; zero is for good. It returns
// how many are new or end later now: what is suppressed for as long or longer
// already stays as it is. The error is ErrAddress, with nothing added, if one is
// no address of its channel.
func (l *List) Add(ctx context.Context, subjects []Subject, cause Cause, until time.Time) (added int, err error) {
	e := Entry{Cause: cause, Added: l.now(), Until: until}
	list, err := l.calls(e.addition(), subjects...)
	if err != nil {
		return 0, err
	}
	return l.add(ctx, list)
}

// calls are the keys of subjects, with the same arguments each.
func (l *List) calls(args []any, subjects ...Subject) ([]call, error) {
	list := make([]call, len(subjects))
	for i, s := range subjects {
		hash, ok := l.hash(s)
		if !ok {
			return nil, ErrAddress
		}
		list[i] = call{l.Keys.Suppression(s.Channel, hash), args}
	}
	return list, nil
}

func (l *List) add(ctx context.Context, list []call) (added int, err error) {
	if err := l.seal(ctx); err != nil {
		return 0, err
	}
	return l.count(ctx, addScript, list)
}

func (l *List) count(ctx context.Context, s *script.Script, list []call) (n int, err error) {
	err = l.run(ctx, s, list, func(_ int, yes bool) {
		if yes {
			n++
		}
	})
	return n, err
}

// seal notes whose pepper the hashes are made with, if nobody has.
func (l *List) seal(ctx context.Context) error {
	key := l.Keys.SuppressionPepper()
	was, err := l.Client.SetArgs(ctx, key, l.Hasher.fingerprint, redis.SetArgs{Mode: "NX", Get: true}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err == nil && was != l.Hasher.fingerprint {
		err = ErrPepper
	}
	return err
}

// Remove ends suppressions, and returns how many there were.
func (l *List) Remove(ctx context.Context, subjects []Subject) (removed int, err error) {
	list, err := l.calls(nil, subjects...)
	if err == nil {
		_, err = l.read(ctx)() // whose pepper it is
	}
	if err != nil {
		return 0, err
	}
	return l.count(ctx, removeScript, list)
}
