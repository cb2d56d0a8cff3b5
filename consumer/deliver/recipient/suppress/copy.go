package suppress

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

const (
	// KnownFor is how long a copy that was seen to be complete counts as such, while
	// the topic or Redis does not answer.
	KnownFor = 30 * time.Second
	// tellAfter is how long the gate is closed before that is worth a warning.
	tellAfter = time.Second
	// markField is where a bucket has its mark: no subject has that name.
	markField = "mark"
	// emptyTopic is a topic that nothing was written to yet.
	emptyTopic = "none"
	// recordsAtOnce is how many records are applied in one round trip: a few dozen
	// in each bucket, which keeps Redis from others for a fraction of a millisecond.
	recordsAtOnce = 5_000
)

// Fault is why the copy cannot be used that waiting does not mend.
type Fault string

func (f Fault) Error() string { return string(f) }

const (
	ErrPepper Fault = "the suppressed addresses are hashed with another pepper than this process was given: " +
		"correct MEDDELA_SUPPRESS_PEPPER"
	ErrNoPepper Fault = "there are suppressed addresses, and this process has no pepper to know them by: " +
		"set MEDDELA_SUPPRESS_PEPPER"
	ErrHead Fault = "the suppressions topic does not begin with the record of its pepper: it lost its first records, " +
		"or others write to it"
	ErrForeign Fault = "Redis has a copy of another suppressions topic: correct MEDDELA_TOPIC_PREFIX or " +
		"MEDDELA_KEY_PREFIX; if the topic was lost, run `meddela suppressions restore`"
	ErrUnreadable Fault = "the suppressions topic has what can never be read: the log of role deliver says where; delete the " +
		"topic, run `meddela topics apply` and `meddela suppressions restore`, and import again what was written then"
	ErrLost Fault = "the suppressions topic has lost what Redis has a copy of: run `meddela suppressions restore`"
)

// errUnknown is for as long as the copy is not, or not any more, known to be complete.
var errUnknown = errors.New("it is not known yet who is suppressed: " +
	"Redis's copy of the suppressions topic is not complete")

var (
	//go:embed apply.lua
	applySource string
	applyScript = script.New(applySource)
	// For each of KEYS, a bucket, its mark and what it has of a subject.
	readScript = script.New(`
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('HMGET', key, 'mark', ARGV[i]) end
return answers`)
)

// Copy is Redis's copy of the suppressions topic, which Run makes and keeps. Any
// number of processes may do so at once: each change is made once, in the order of the
// topic, and what Redis loses is made anew. Its user in Redis needs HGET, HMGET, HSET,
// HDEL, UNLINK, EXISTS, EVAL and EVALSHA.
type Copy struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	Hasher *Hasher // nil for none: then the topic must be empty
	// Region is the country whose phone numbers may come without its code; empty for none.
	Region string
	Source follow.Source
	Log    zerolog.Logger
	// Now is the clock by which suppressions end. Default time.Now.
	Now func() time.Time

	state atomic.Pointer[state] // nil when it is not known to be complete

	mu    sync.Mutex
	fault error         // of the last try; nil after one that succeeded
	moved chan struct{} // closed, and made anew, when fault or state changes

	// Of the goroutine in Run.
	topic  string // empty when it is not known
	first  int64
	end    int64
	goal   state // what is to become the state
	closed time.Time
	// telling is the warning that nothing is known any more.
	telling *time.Timer
}

// state is what is known of the copy: it has all that its topic had at a time.
type state struct {
	topic string
	end   int64
	at    time.Time
}

// Known is nil while it is known who is suppressed, or else the reason why it is not.
func (c *Copy) Known() error {
	_, err := c.known()
	return err
}

func (c *Copy) known() (*state, error) {
	if s := c.state.Load(); s != nil && time.Since(s.at) < KnownFor {
		return s, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return nil, fmt.Errorf("%w (%w)", errUnknown, c.fault)
	}
	return nil, errUnknown
}

// Run keeps the copy until ctx ends. A server being away is no end: it is logged now
// and then, and tried again.
func (c *Copy) Run(ctx context.Context) {
	c.closed = time.Now()
	defer c.settle()
	step := func() error {
		err := c.step(ctx)
		if ctx.Err() == nil {
			c.note(err)
		}
		return err
	}
	for ctx.Err() == nil {
		retry.Until(ctx, step, func(err error, times int) {
			c.Log.Warn().Err(err).Int("times", times).AnErr("sending", c.Known()).
				Msg("Redis's copy of the suppressions cannot be kept; trying on")
		})
	}
}

// note says how a try went, and that nothing is known any more where there is a Fault.
func (c *Copy) note(err error) {
	if err != nil {
		c.topic = "" // it may be another by now
	}
	if _, ok := errors.AsType[Fault](err); ok {
		c.forget()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = err
	c.wake()
}

// wake wakes those in CatchUp. c.mu is held.
func (c *Copy) wake() {
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// forget closes the gate, and says so where that lasts: a first suppression, or another
// topic, is known a moment later.
func (c *Copy) forget() {
	if c.state.Swap(nil) != nil {
		c.closed = time.Now()
		c.telling = time.AfterFunc(tellAfter, func() {
			c.Log.Warn().Msg("it is not known any more who is suppressed: nothing is sent")
		})
	}
}

// step looks where the topic and the copy are, and brings the copy a piece further,
// for which it waits a while.
func (c *Copy) step(ctx context.Context) error {
	now := time.Now()
	first, end, marks, err := c.look(ctx)
	if err != nil {
		return err
	}
	low, here := slices.Min(marks), state{c.topic, end, now}
	if s := c.state.Load(); s != nil && (s.topic != c.topic || low < s.end) {
		c.forget() // Redis has lost something
	}
	if low >= end || c.goal.topic != c.topic {
		c.goal = here
	}
	if low >= c.goal.end {
		c.know(c.goal)
		c.goal = here
	}
	records, next, err := c.fetch(ctx, low)
	if err != nil || c.topic == emptyTopic {
		return err
	}
	return c.apply(ctx, first, low, next, records, marks)
}

func (c *Copy) fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	records, next, err := c.Source.Fetch(ctx, from)
	if errors.Is(err, consumer.ErrUnreadable) {
		err = fmt.Errorf("%w (%w)", ErrUnreadable, err)
	}
	return records, next, err
}

// settle ends a warning that is not due yet.
func (c *Copy) settle() {
	if c.telling != nil {
		c.telling.Stop()
	}
}

// know makes what was wanted the state.
func (c *Copy) know(s state) {
	if c.state.Swap(&s) == nil {
		c.settle()
		c.Log.Info().Int64("offset", s.end).Stringer("after", time.Since(c.closed).Round(time.Millisecond)).
			Msg("Redis's copy of the suppressions is complete")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// look says where the topic begins and ends, and up to where each bucket has it.
func (c *Copy) look(ctx context.Context) (first, end int64, marks []int64, err error) {
	// First, so that what others write meanwhile is not beyond the end.
	found, err := c.readMarks(ctx)
	if err == nil {
		first, end, err = c.Source.Bounds(ctx)
	}
	if err != nil {
		return 0, 0, nil, err
	}
	if c.topic == "" || c.topic == emptyTopic || end < c.end || first != c.first {
		if c.topic, err = c.identify(ctx, first, end); err != nil {
			return 0, 0, nil, err
		}
	}
	c.first, c.end = first, end
	marks = make([]int64, len(found))
	for i := range found {
		of, at, none := parseMark(found[i][0])
		switch {
		case none:
			at = first
		case of != c.topic && c.topic == emptyTopic:
			return 0, 0, nil, ErrLost
		case of != c.topic:
			return 0, 0, nil, ErrForeign
		case at > end:
			return 0, 0, nil, ErrLost
		}
		marks[i] = at
	}
	return first, end, marks, nil
}

// identify returns the key of the topic's first record, which is its name, and looks
// whether its pepper is ours.
func (c *Copy) identify(ctx context.Context, first, end int64) (string, error) {
	if first == end {
		return emptyTopic, nil
	}
	return c.headAt(ctx, first)
}

// headAt returns the key of the record at the topic's first offset, if it is of our
// pepper.
func (c *Copy) headAt(ctx context.Context, first int64) (string, error) {
	records, _, err := c.fetch(ctx, first)
	if err != nil || len(records) == 0 {
		return "", cmp.Or(err, errUnknown)
	}
	head := string(records[0].Key)
	pepper, ok := topology.PepperOf(head)
	switch {
	case !ok:
		return "", ErrHead
	case c.Hasher == nil:
		return "", ErrNoPepper
	case pepper != c.Hasher.fingerprint:
		return "", ErrPepper
	}
	return head, nil
}

// CheckPepper says by a Fault whether this process could never know who is suppressed.
func (c *Copy) CheckPepper(ctx context.Context) error {
	first, end, err := c.Source.Bounds(ctx)
	if err == nil {
		_, err = c.identify(ctx, first, end)
	}
	return err
}

// Behind says by how many records the copy is behind its topic now, and where that
// ends. It must not be called while Run is.
func (c *Copy) Behind(ctx context.Context) (records, end int64, err error) {
	_, end, marks, err := c.look(ctx)
	if err != nil {
		return 0, 0, err
	}
	return end - slices.Min(marks), end, nil
}

// CatchUp asks where the topic ends now, and returns when the copy has everything up
// to there. Its error is a Fault, or what stood in the way when ctx ended.
func (c *Copy) CatchUp(ctx context.Context) error {
	_, end, err := c.Source.Bounds(ctx)
	if err != nil {
		return err
	}
	for {
		c.mu.Lock()
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved, fault := c.moved, c.fault
		c.mu.Unlock()
		if s := c.state.Load(); s != nil && s.end >= end {
			return nil
		}
		if f, ok := errors.AsType[Fault](fault); ok {
			return f
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w (%w)", errUnknown, cmp.Or(fault, ctx.Err()), ctx.Err())
		}
	}
}

// change is a record, as a bucket is given it.
type change struct{ subject, cause, line string }

// apply brings the buckets, which are up to their marks, to the offset next.
func (c *Copy) apply(ctx context.Context, first, from, next int64, records []topology.Record, marks []int64) error {
	for from < next {
		to, n := next, len(records)
		if n > recordsAtOnce {
			n = recordsAtOnce
			to = records[n].Offset
		}
		if err := c.applyTogether(ctx, first, from, to, records[:n], marks); err != nil {
			return err
		}
		records, from = records[n:], to
	}
	return nil
}

func (c *Copy) applyTogether(ctx context.Context, first, from, to int64, records []topology.Record,
	marks []int64) error {
	changes := make([][]change, len(marks))
	for i := range records {
		if bucket, one, ok := c.changeOf(&records[i]); ok && marks[bucket] < to {
			changes[bucket] = append(changes[bucket], one)
		}
	}
	var behind []int
	for i, at := range marks {
		if at < to {
			behind = append(behind, i)
		}
	}
	offsets := []string{strconv.FormatInt(first, 10), strconv.FormatInt(from, 10), strconv.FormatInt(to, 10)}
	var foreign error
	err := applyScript.Run(ctx, c.Client, &script.Batch{
		N: len(behind), PerCall: 1,
		Head: []any{c.topic, offsets[0], offsets[1], offsets[2]},
		Key:  func(b []byte, i int) []byte { return append(b, c.Keys.Suppressions(behind[i])...) },
		Args: func(a *script.Args, i int) {
			for j := range changes[behind[i]] {
				one := &changes[behind[i]][j]
				a.Add(&one.subject, &one.cause, &one.line)
			}
		},
		Answer: func(i int, answer any) {
			at, ok := answer.(int64)
			if marks[behind[i]] = at; !ok {
				foreign = ErrForeign
			}
		},
	})
	return cmp.Or(err, foreign)
}

// changeOf is what a record changes; ok is false for one that is about no address.
func (c *Copy) changeOf(r *topology.Record) (bucket int, one change, ok bool) {
	if _, head := topology.PepperOf(string(r.Key)); head {
		return 0, one, false
	}
	s, known, err := topology.DecodeSuppression(r)
	if err != nil {
		c.Log.Error().Err(err).Int64("offset", r.Offset).Bool("suppresses", known).
			Msg("a record of the suppressions topic cannot be read")
	}
	if !known {
		return 0, one, false
	}
	one = change{subject: s.Subject(), cause: string(s.Cause)}
	if r.Value != nil {
		one.line = lineOf(&s)
	}
	return s.Hash.Bucket(), one, true
}

// lineOf is how Redis has a suppression: the Unix milliseconds at which it ends, or 0,
// its cause, and those at which it was added. A subject has a line for each cause.
func lineOf(s *topology.Suppression) string {
	until := int64(0)
	if !s.Until.IsZero() {
		until = s.Until.UnixMilli()
	}
	return fmt.Sprintf("%d\t%s\t%d\n", until, s.Cause, max(s.Added.UnixMilli(), 0))
}

func parseLines(subject, lines string) (all []topology.Suppression) {
	channel, hash, _ := strings.Cut(subject, ":")
	for line := range strings.Lines(lines) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		s := topology.Suppression{Channel: topology.Channel(channel), Hash: topology.AddressHash(hash)}
		s.Cause = topology.Manual
		if len(parts) == 3 { // or else it suppresses for good: it was put there for that
			if cause, err := topology.ParseCause(parts[1]); err == nil {
				s.Cause = cause
			}
			s.Until, s.Added = parseMillis(parts[0]), parseMillis(parts[2])
		}
		all = append(all, s)
	}
	return all
}

func parseMillis(text string) (at time.Time) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		at = time.UnixMilli(n).UTC()
	}
	return at
}

func parseMark(mark string) (topic string, at int64, none bool) {
	topic, offset, _ := strings.Cut(mark, " ")
	at, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		at = -1
	}
	return topic, at, mark == ""
}

// lookup is what is read: what a bucket has of a subject.
type lookup struct {
	bucket  int
	subject string
}

// read begins to read buckets, and returns what waits for their marks, and for what
// they have.
func (c *Copy) read(ctx context.Context, of []lookup) (wait func() ([][2]string, error)) {
	found := make([][2]string, len(of))
	done := readScript.Start(ctx, c.Client, &script.Batch{
		N:    len(of),
		Key:  func(b []byte, i int) []byte { return append(b, c.Keys.Suppressions(of[i].bucket)...) },
		Args: func(a *script.Args, i int) { a.Add(&of[i].subject) },
		Answer: func(i int, answer any) {
			pair, _ := answer.([]any)
			for j := range min(len(pair), len(found[i])) {
				found[i][j], _ = pair[j].(string)
			}
		},
	})
	return func() ([][2]string, error) { return found, done() }
}

// readMarks reads the mark of every bucket.
func (c *Copy) readMarks(ctx context.Context) ([][2]string, error) {
	buckets := make([]lookup, topology.SuppressionBuckets)
	for i := range buckets {
		buckets[i].bucket = i
	}
	return c.read(ctx, buckets)()
}

// has is an error where a mark does not say that its bucket has all that the copy is
// known to have.
func (s *state) has(mark string) error {
	of, at, none := parseMark(mark)
	if none && s.topic == emptyTopic || of == s.topic && at >= s.end {
		return nil
	}
	return errUnknown
}
