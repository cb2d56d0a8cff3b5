package catalogue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/catalogue"
	topicfollow "github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// tape is a Source in memory: a topic whose every outage is at the test's hand.
type tape struct {
	mu      sync.Mutex
	records []topology.Record
	offset  int64 // of the first record
	outage  error
	wake    chan struct{}
	fetches int
}

func newTape() *tape { return &tape{wake: make(chan struct{})} }

// change changes the tape, and wakes who waits for news.
func (s *tape) change(how func(s *tape)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(s)
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *tape) put(records ...topology.TemplateRecord) {
	s.change(func(s *tape) {
		for _, r := range records {
			s.add(topology.Record{Key: []byte(r.Ref()), Value: r.Append(nil)})
		}
	})
}

func (s *tape) add(r topology.Record) {
	r.Offset = s.offset + int64(len(s.records))
	s.records = append(s.records, r)
}

func (s *tape) Bounds(context.Context) (first, end int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset, s.offset + int64(len(s.records)), s.outage
}

func (s *tape) Fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	for {
		s.mu.Lock()
		s.fetches++
		records, first, outage, wake := s.records, s.offset, s.outage, s.wake
		s.mu.Unlock()
		end := first + int64(len(records))
		switch {
		case outage != nil:
			return nil, from, outage
		case from < first || from > end:
			return nil, from, kafka.OffsetOutOfRange
		case from < end:
			at := from - first
			batch := records[at:min(at+2, int64(len(records)))]
			return batch, from + int64(len(batch)), nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, from, ctx.Err()
		}
	}
}

// follow runs a follower for as long as the test.
func follow(t *testing.T, source topicfollow.Source) *catalogue.Follower {
	t.Helper()
	return followWith(t, source, zerolog.Nop())
}

func followWith(t *testing.T, source topicfollow.Source, log zerolog.Logger) *catalogue.Follower {
	t.Helper()
	f := catalogue.NewFollower(source, log)
	fixtures.Run(t, f.Run)
	return f
}

func TestFollowerReadsAllBeforeItIsReady(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"), sms("a", "2", 2, "x"), sms("b", "1", 1, "x"), sms("c", "1", 1, "x"),
		sms("d", "1", 1, "x"))
	f := follow(t, source)
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	if c := f.Snapshot(); c.Names() != 4 || c.Versions() != 5 {
		t.Errorf("ready with %d names, %d versions", c.Names(), c.Versions())
	}
	s, c := f.Stats()
	if !s.Ready || c.Names() != 4 || c.Versions() != 5 || s.Applied != 5 || s.ChangedAt.IsZero() || s.ContactAt.IsZero() {
		t.Errorf("stats %+v", s)
	}
}

func TestFollowerIsReadyWithAnEmptyTopic(t *testing.T) {
	f := follow(t, newTape())
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	if c := fixtures.CaughtUp(t, f); c.Versions() != 0 {
		t.Errorf("%d versions", c.Versions())
	}
}

func TestFollowerLives(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"))
	f := follow(t, source)
	before := fixtures.CaughtUp(t, f)
	source.put(sms("a", "2", 2, "x"), sms("b", "1", 1, "y"))
	after := fixtures.CaughtUp(t, f)
	if got := refs(after.Candidates("x", topology.SMS)); !slices.Equal(got, []topology.TemplateRef{"a@2"}) ||
		!after.HasType("y") {
		t.Errorf("candidates %v, type y %v", got, after.HasType("y"))
	}
	if got := refs(before.Candidates("x", topology.SMS)); !slices.Equal(got, []topology.TemplateRef{"a@1"}) ||
		before.HasType("y") || before.Versions() != 1 {
		t.Errorf("the old snapshot has changed: candidates %v", got)
	}
}

func TestRetiringAVersion(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"), sms("a", "2", 2, "x", "y"))
	f := follow(t, source)
	fixtures.CaughtUp(t, f)
	retire := func(refs ...string) {
		source.change(func(s *tape) {
			for _, ref := range refs {
				s.add(topology.Record{Key: []byte(ref)})
			}
		})
	}
	retire("a@2", "unheard@of")
	c := fixtures.CaughtUp(t, f)
	if got := refs(c.Candidates("x", topology.SMS)); !slices.Equal(got, []topology.TemplateRef{"a@1"}) || c.HasType("y") {
		t.Errorf("candidates %v, type y %v; want the version before", got, c.HasType("y"))
	}
	if _, ok := c.ByRef("a@2"); ok {
		t.Error("a@2 is still there")
	}
	retire("a@1")
	if c := fixtures.CaughtUp(t, f); c.HasType("x") || c.Names() != 0 || c.Versions() != 0 {
		t.Errorf("%d names, %d versions are left", c.Names(), c.Versions())
	}
}

func TestBadRecordsAreReportedAndPassed(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"))
	broken := sms("a", "2", 2, "x")
	broken.Bodies["en"]["sms.txt"] = "{{.ctx.a"
	later := sms("b", "1", 2, "x")
	source.change(func(s *tape) {
		s.add(topology.Record{Key: []byte("a@2"), Value: broken.Append(nil)})
		s.add(topology.Record{Key: []byte("a@1"), Value: []byte("not JSON")})
		s.add(topology.Record{Key: []byte("a@9"), Value: later.Append(nil)})
		s.add(topology.Record{Value: later.Append(nil)})
		s.add(topology.Record{Key: []byte("b@1"), Value: later.Append(nil)})
	})
	var log bytes.Buffer
	f := followWith(t, source, zerolog.New(&log).Level(zerolog.ErrorLevel))
	c := fixtures.CaughtUp(t, f)
	if got := refs(c.Candidates("x", topology.SMS)); !slices.Equal(got, []topology.TemplateRef{"b@1", "a@1"}) {
		t.Errorf("candidates %v; want those that are good", got)
	}
	for i, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		if !strings.Contains(line, `"error":"`) || !strings.Contains(line, fmt.Sprintf(`"offset":%d,`, i+1)) {
			t.Errorf("line %d of the log does not tell of record %d: %s", i, i+1, line)
		}
	}
	if s, _ := f.Stats(); s.Bad != 4 {
		t.Errorf("%d bad records are counted; want 4", s.Bad)
	}
}

func TestAVersionWithoutATimeHasItsRecords(t *testing.T) {
	source := newTape()
	r := sms("a", "1", 1, "x")
	r.PublishedAt = time.Time{}
	source.change(func(s *tape) { s.add(topology.Record{Key: []byte("a@1"), Value: r.Append(nil), Time: start}) })
	e, _ := fixtures.CaughtUp(t, follow(t, source)).Latest("a")
	if at := e.Record().PublishedAt; !at.Equal(start) {
		t.Errorf("published at %v; want the record's time", at)
	}
}

func TestOutages(t *testing.T) {
	gone := errors.New("the broker is away")
	source := newTape()
	source.put(sms("a", "1", 1, "x"))
	source.outage = gone
	f := follow(t, source)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.AwaitReady(ctx); !errors.Is(err, gone) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not ready because of %v; want the outage", err)
	}
	if err := f.CatchUp(ctx); !errors.Is(err, gone) {
		t.Errorf("CatchUp said %v; want the outage", err)
	}
	source.change(func(s *tape) { s.outage = nil })
	fixtures.CaughtUp(t, f)
	source.change(func(s *tape) { s.outage = gone })
	source.put(sms("a", "2", 2, "x"))
	if c := f.Snapshot(); c.Versions() != 1 {
		t.Errorf("%d versions in an outage; want the last known", c.Versions())
	}
	source.change(func(s *tape) { s.outage = nil })
	if c := fixtures.CaughtUp(t, f); c.Versions() != 2 {
		t.Errorf("%d versions after the outage", c.Versions())
	}
}

func TestATopicThatWasMadeAnew(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"), sms("a", "2", 2, "x"), sms("b", "1", 2, "y"))
	f := follow(t, source)
	fixtures.CaughtUp(t, f)
	source.change(func(s *tape) { s.records = nil })
	source.put(sms("c", "1", 1, "z"))
	fixtures.Eventually(t, "the new topic is read", func() bool { return f.Snapshot().HasType("z") })
	if s, c := f.Stats(); c.Versions() != 1 || s.Applied != 1 {
		t.Errorf("%d versions, applied to %d; want what the new topic has", c.Versions(), s.Applied)
	}
}

func TestATopicThatWasDeletedAndMadeAnew(t *testing.T) {
	source := newTape()
	source.put(sms("a", "1", 1, "x"))
	f := follow(t, source)
	fixtures.CaughtUp(t, f)
	source.change(func(s *tape) { s.records, s.outage = nil, &topology.NoTopicError{Topic: topic} })
	fixtures.Eventually(t, "the follower notices that the topic is gone", func() bool {
		s, _ := f.Stats()
		return s.Failing
	})
	source.put(sms("c", "1", 1, "z"), sms("c", "2", 2, "z"), sms("c", "3", 3, "z"))
	source.change(func(s *tape) { s.outage = nil })
	fixtures.Eventually(t, "the new topic is read", func() bool {
		s, c := f.Stats()
		return !s.Failing && c.HasType("z")
	})
	if c := fixtures.CaughtUp(t, f); c.Versions() != 3 || c.HasType("x") {
		t.Errorf("%d versions; want what the new topic has", c.Versions())
	}
}

func TestReadersSeeWholeSnapshots(t *testing.T) {
	source := newTape()
	f := follow(t, source)
	fixtures.CaughtUp(t, f)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				c := f.Snapshot()
				if n := len(c.Candidates("x", topology.SMS)); n != c.Names() {
					t.Errorf("%d candidates of %d templates", n, c.Names())
					return
				}
			}
		})
	}
	for i := range 100 {
		source.put(sms("t"+string(rune('a'+i%26)), "1", i, "x"))
		fixtures.CaughtUp(t, f)
	}
	stop()
	readers.Wait()
}
