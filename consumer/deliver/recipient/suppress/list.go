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

// PepperError says that the addresses in Redis are hashed with another pepper
// than this process has, so that it would find none of them.
type PepperError struct{}

func (PepperError) Error() string {
	return "the suppressed addresses in Redis are hashed with another pepper than this process was given"
}

// ErrAddress is the error of a Subject that is no address of its channel.
var ErrAddress = errors.New("it is no address of this channel")

// key is where a subject's suppression is; ok is false for what is no address.
func (l *List) key(s Subject) (key string, hash topology.AddressHash, ok bool) {
	normal, ok := address.Normalize(s.Channel, s.Address)
	if !ok {
		return "", "", false
	}
	hash = l.Hasher.Hash(normal)
	return l.Keys.Suppression(s.Channel, hash), hash, true
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
	found := make([]*Entry, len(subjects))
	keys := make([]string, 0, len(subjects))
	hashes := make([]topology.AddressHash, 0, len(subjects))
	which := make([]int, 0, len(subjects))
	for i, s := range subjects {
		if key, hash, ok := l.key(s); ok {
			keys, hashes, which = append(keys, key), append(hashes, hash), append(which, i)
		}
	}
	if len(keys) == 0 {
		return found, nil
	}
	values, err := l.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	now := l.now()
	for i, value := range values {
		if value == "" {
			continue
		}
		e := parseEntry(value)
		if e.over(now) {
			continue
		}
		at := which[i]
		e.Channel, e.Hash = subjects[at].Channel, hashes[i]
		found[at] = &e
	}
	return found, nil
}

// Add suppresses addresses, by the entries' Channel, Cause and Until; it makes
// their hashes, and Added is the current time. It returns how many are new or
// end later now: what is suppressed for as long or longer already stays as it
// is. The error is ErrAddress, with nothing added, if one is no address of its
// channel.
func (l *List) Add(ctx context.Context, subjects []Subject, cause Cause, until time.Time) (added int, err error) {
	list := make([]addition, len(subjects))
	for i, s := range subjects {
		list[i] = addition{s, cause, until}
	}
	return l.add(ctx, list)
}

// addition is what is to be suppressed.
type addition struct {
	Subject
	cause Cause
	until time.Time
}

func (l *List) add(ctx context.Context, list []addition) (added int, err error) {
	now := l.now()
	write := make([]call, len(list))
	for i, a := range list {
		key, _, ok := l.key(a.Subject)
		if !ok {
			return 0, ErrAddress
		}
		e := Entry{Cause: a.cause, Added: now, Until: a.until}
		write[i] = call{key, []any{untilMillis(a.until), e.value()}}
	}
	if err := l.seal(ctx); err != nil {
		return 0, err
	}
	answers, err := run(ctx, l.Client, addScript, write)
	for _, written := range answers {
		if written {
			added++
		}
	}
	return added, err
}

// seal notes whose pepper the hashes are made with, if nobody has.
func (l *List) seal(ctx context.Context) error {
	key := l.Keys.SuppressionPepper()
	was, err := l.Client.SetArgs(ctx, key, l.Hasher.Fingerprint(), redis.SetArgs{Mode: "NX", Get: true}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err == nil && was != l.Hasher.Fingerprint() {
		err = PepperError{}
	}
	return err
}

// Remove ends suppressions, and returns how many there were.
func (l *List) Remove(ctx context.Context, subjects []Subject) (removed int, err error) {
	if _, err := l.read(ctx, nil); err != nil {
		return 0, err
	}
	pipe := l.Client.Pipeline()
	var replies []*redis.IntCmd
	for _, s := range subjects {
		key, _, ok := l.key(s)
		if !ok {
			return 0, ErrAddress
		}
		replies = append(replies, pipe.Del(ctx, key))
	}
	_, err = pipe.Exec(ctx)
	for _, reply := range replies {
		removed += int(reply.Val())
	}
	return removed, err
}

const (
	// keysPerCall bounds how long Redis serves nobody else.
	keysPerCall = 100
	// keysPerTrip bounds what is under way before answers are waited for.
	keysPerTrip = 2000
)

// read returns the values of keys, empty where there is none. What is of
// another type is none of ours. The pepper's fingerprint is read along: whoever
// has another one must not take what he does not find for not suppressed.
func (l *List) read(ctx context.Context, keys []string) ([]string, error) {
	values := make([]string, len(keys))
	for from := 0; ; from += keysPerTrip {
		to := min(from+keysPerTrip, len(keys))
		if err := l.readSome(ctx, keys[from:to], values[from:to]); err != nil {
			return nil, err
		}
		if to == len(keys) {
			return values, nil
		}
	}
}

func (l *List) readSome(ctx context.Context, keys, values []string) error {
	pipe := l.Client.Pipeline()
	pepper := pipe.Get(ctx, l.Keys.SuppressionPepper())
	fetch := fetchTogether
	if _, cluster := l.Client.(*redis.ClusterClient); cluster {
		fetch = fetchEach
	}
	take := fetch(ctx, pipe, keys)
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := pepper.Err(); err != nil && !harmless(err) {
		return err
	}
	if is := pepper.Val(); is != "" && is != l.Hasher.Fingerprint() {
		return PepperError{}
	}
	return take(values)
}

// harmless is the error of a key that is not there, or no STRING.
func harmless(err error) bool {
	return errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE")
}

// fetchTogether reads many keys by a command, as a single server can. What it
// returns takes the values once the pipeline has run.
func fetchTogether(ctx context.Context, pipe redis.Pipeliner, keys []string) (take func([]string) error) {
	var replies []*redis.SliceCmd
	for from := 0; from < len(keys); from += keysPerCall {
		replies = append(replies, pipe.MGet(ctx, keys[from:min(from+keysPerCall, len(keys))]...))
	}
	return func(values []string) error {
		at := 0
		for _, reply := range replies {
			if err := reply.Err(); err != nil {
				return err
			}
			for _, v := range reply.Val() {
				values[at], _ = v.(string)
				at++
			}
		}
		return nil
	}
}

// fetchEach reads each key by a command, as a cluster needs.
func fetchEach(ctx context.Context, pipe redis.Pipeliner, keys []string) (take func([]string) error) {
	replies := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		replies[i] = pipe.Get(ctx, key)
	}
	return func(values []string) error {
		for i, reply := range replies {
			if err := reply.Err(); err != nil && !harmless(err) {
				return err
			}
			values[i] = reply.Val()
		}
		return nil
	}
}
