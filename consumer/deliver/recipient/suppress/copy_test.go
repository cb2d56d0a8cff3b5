package suppress_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// numbered are addresses on e-mail, from one number to another.
func numbered(from, to int) (all []suppress.Subject) {
	for i := range to - from {
		all = append(all, emails(fmt.Sprintf("kim%d@example.com", from+i))...)
	}
	return all
}

// queriesFor ask about addresses.
func queriesFor(subjects []suppress.Subject) (all []suppress.Query) {
	for _, s := range subjects {
		all = append(all, suppress.Query{Channel: s.Channel, Address: s.Address})
	}
	return all
}

// letPass is how many of some addresses may be written to, by a gate that either knows or
// says that it does not.
func letPass(ctx context.Context, l *suppress.List, subjects []suppress.Subject) (passed int, err error) {
	answers, err := gateOf(l).Find(ctx, queriesFor(subjects))()
	for _, a := range answers {
		if a == (suppress.Answer{}) {
			passed++
		}
	}
	return passed, err
}

// TestALostCopy: whatever of it Redis loses, nobody who is suppressed is let pass, and
// the copy is made anew by itself.
func TestALostCopy(t *testing.T) {
	gone := numbered(0, 400)
	for name, lose := range map[string]func(context.Context, store) error{
		"all": func(ctx context.Context, s store) error {
			return s.client.Del(ctx, s.allKeys(s.t)...).Err()
		},
		"one bucket": func(ctx context.Context, s store) error {
			return s.client.Del(ctx, s.keys.Suppressions(0x1a)).Err()
		},
		"a piece of time": func(ctx context.Context, s store) error {
			// As a failover does: an older state of a bucket, its mark along.
			old := store{t: s.t, client: s.client, topic: newTopic(), kept: new(sync.Map)}
			old.keys.Prefix = s.keys.Prefix + "old:"
			half := s.topic.all()
			_ = old.topic.publish(ctx, half[:len(half)/2])
			old.list()
			for bucket := range topology.SuppressionBuckets {
				had, err := s.client.HGetAll(ctx, old.keys.Suppressions(bucket)).Result()
				if err != nil {
					return err
				}
				pipe, key := s.client.TxPipeline(), s.keys.Suppressions(bucket)
				pipe.Del(ctx, key)
				pipe.HSet(ctx, key, had)
				if _, err := pipe.Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			onServers(t, func(t *testing.T, s store) {
				l := s.list()
				mustAdd(t, l, topology.Unsubscribed, time.Time{}, gone...)
				stop := make(chan struct{})
				var asking sync.WaitGroup
				asking.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if passed, err := letPass(t.Context(), l, gone[:50]); passed > 0 {
							t.Errorf("%d suppressed addresses are let pass, %v", passed, err)
							return
						}
					}
				})
				if err := lose(t.Context(), s); err != nil {
					t.Error(err)
				}
				fixtures.Eventually(t, "all is known again", func() bool {
					counts, err := l.Counts(t.Context())
					return err == nil && len(counts) == 1 && counts[0].Addresses == len(gone)
				})
				if passed, err := letPass(t.Context(), l, slices.Concat(gone, numbered(5000, 5003))); passed != 3 || err != nil {
					t.Errorf("afterwards %d are let pass, %v", passed, err)
				}
				close(stop)
				asking.Wait()
			})
		})
	}
}

// TestWhatCanNeverBeRead: nobody is written to while something on the topic cannot be read, and it is told what to do.
func TestWhatCanNeverBeRead(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		mustAdd(t, l, topology.Unsubscribed, time.Time{}, numbered(0, 50)...)
		s.topic.fail(fmt.Errorf("t/0 at offset 51: %w", consumer.ErrUnreadable))
		fixtures.Eventually(t, "it is told", func() bool { return errors.Is(l.Known(), suppress.ErrUnreadable) })
		if passed, err := letPass(t.Context(), l, numbered(100, 110)); passed > 0 || err == nil {
			t.Errorf("%d pass, %v", passed, err)
		}
		s.topic.fail(nil)
		fixtures.Eventually(t, "it is known again", func() bool { return l.Known() == nil })
	})
}

// TestALostTopic: with a copy that no topic is the truth of, nothing passes, until the
// topic has it again.
func TestALostTopic(t *testing.T) {
	for name, test := range map[string]struct {
		left  func([]topology.Record) []topology.Record
		fault error
	}{
		"made anew":   {func([]topology.Record) []topology.Record { return nil }, suppress.ErrLost},
		"its end":     {func(all []topology.Record) []topology.Record { return all[:len(all)-1] }, suppress.ErrLost},
		"its start":   {func(all []topology.Record) []topology.Record { return all[1:] }, suppress.ErrHead},
		"another one": {func(all []topology.Record) []topology.Record { return anotherTopic(t) }, suppress.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			onServers(t, func(t *testing.T, s store) {
				gone := numbered(0, 50)
				l := s.idle()
				stop := s.keep(l.Copy)
				mustAdd(t, l, topology.Unsubscribed, time.Time{}, gone...)
				if test.fault == suppress.ErrForeign { // which a process sees when it starts
					stop()
					s.topic.replace(test.left(s.topic.all()))
					l = s.idle()
					stop = s.keep(l.Copy)
				} else {
					s.topic.replace(test.left(s.topic.all()))
				}
				fixtures.Eventually(t, "it is told", func() bool { return errors.Is(l.Known(), test.fault) })
				if passed, err := letPass(t.Context(), l, numbered(100, 110)); passed > 0 || err == nil {
					t.Errorf("%d pass, %v", passed, err)
				}
				if _, err := l.Add(t.Context(), gone, topology.Manual, time.Time{}); !errors.Is(err, test.fault) {
					t.Errorf("adding: %v", err)
				}
				stop()
				if test.fault == suppress.ErrHead {
					return // nobody can say what else is lost
				}
				if n, err := s.idle().Restore(t.Context()); n != len(gone) || err != nil {
					t.Fatalf("%d restored, %v", n, err)
				}
				again := s.another()
				if passed, err := letPass(t.Context(), again, slices.Concat(gone, numbered(100, 101))); passed != 1 || err != nil {
					t.Errorf("%d pass afterwards, %v", passed, err)
				}
			})
		})
	}
}

// anotherTopic is what another topic of the same pepper has.
func anotherTopic(t *testing.T) (all []topology.Record) {
	fingerprint := suppress.NewHasher("pepper").Hash("the pepper's own fingerprint, which is no address")
	head := topology.SuppressionHead(fingerprint, "X")
	all = append(all, topology.Record{Key: []byte(head), Value: []byte("{}")})
	for range 100 {
		all = append(all, topology.Record{Key: []byte("email:00000000000000000000000000000000:manual"), Value: []byte("{}")})
	}
	return all
}

// TestTheTopicIsAway: what is known counts for a while, and then not any more.
func TestTheTopicIsAway(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		s.topic.fail(errors.New("no leader"))
		if passed, err := letPass(t.Context(), l, numbered(0, 3)); passed != 3 || err != nil {
			t.Errorf("%d pass, %v", passed, err)
		}
		fresh := s.idle()
		s.keep(fresh.Copy)
		fixtures.Eventually(t, "the reason is known", func() bool { return strings.Contains(fresh.Known().Error(), "no leader") })
		if passed, err := letPass(t.Context(), fresh, numbered(0, 3)); passed != 0 || err == nil {
			t.Errorf("who does not know lets %d pass, %v", passed, err)
		}
		s.topic.fail(nil)
		if err := fresh.CatchUp(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestCauses: none takes the place of another, whichever is later.
func TestCauses(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		kim := emails("kim@example.com")
		mustAdd(t, l, topology.Bounced, time.Now().Add(time.Hour), kim...)
		mustAdd(t, l, topology.Unsubscribed, time.Time{}, kim...)
		// As another does who has not seen the second yet.
		hash := l.Hasher.Hash("kim@example.com")
		late := topology.Suppression{Channel: topology.Email, Hash: hash, Cause: topology.Bounced, Added: time.Now(),
			Until: time.Now().Add(2 * time.Hour)}
		record := topology.Record{Key: []byte(late.Key()), Value: late.Append(nil)}
		if err := s.topic.publish(t.Context(), []topology.Record{record}); err != nil {
			t.Fatal(err)
		}
		if err := l.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found, err := l.Find(t.Context(), kim); err != nil || found[0] == nil || found[0].Cause != topology.Unsubscribed {
			t.Errorf("found %+v, %v", found, err)
		}
		if n, err := l.Remove(t.Context(), slices.Concat(kim, kim, emails("lee@example.com"))); n != 1 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		s.topic.compact()
		if left := s.topic.all(); len(left) != 1 {
			t.Errorf("the topic has %d records", len(left))
		}
	})
}

// TestPrune takes from the topic what has ended, and nothing else.
func TestPrune(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		mustAdd(t, l, topology.Bounced, time.Now().Add(time.Hour), numbered(0, 20)...)
		mustAdd(t, l, topology.Bounced, time.Now().Add(3*time.Hour), numbered(20, 25)...)
		mustAdd(t, l, topology.Manual, time.Time{}, numbered(25, 30)...)
		later := s.idle()
		later.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		s.keep(later.Copy)
		for _, want := range []int{20, 0} {
			if n, err := later.Prune(t.Context()); n != want || err != nil {
				t.Errorf("%d pruned, %v; want %d", n, err, want)
			}
			if err := later.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.topic.compact()
		if left := len(s.topic.all()); left != 11 { // with the first record
			t.Errorf("the topic has %d records", left)
		}
	})
}

// TestAnyCopies: however many keep the copy, with whatever being lost and compacted
// meanwhile, it is what the topic says.
func TestAnyCopies(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		lists := []*suppress.List{s.another(), s.another(), s.another()}
		model := map[int]time.Time{}
		ends := []time.Time{{}, time.Now().Add(time.Hour), time.Now().Add(2 * time.Hour)}
		random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		var steps []string
		for range 50 {
			l, n := lists[random.IntN(len(lists))], random.IntN(10)
			step := []string{"add", "add", "add", "remove", "lose", "compact"}[random.IntN(6)]
			steps = append(steps, fmt.Sprint(step, " ", n))
			switch step {
			case "add":
				end, cause := ends[random.IntN(len(ends))], topology.Causes()[random.IntN(4)]
				if _, err := l.Add(t.Context(), numbered(n, n+1), cause, end); err != nil {
					t.Fatal(err)
				}
				if was, ok := model[n]; !ok || !was.IsZero() && (end.IsZero() || end.After(was)) {
					model[n] = end
				}
			case "remove":
				if _, err := l.Remove(t.Context(), numbered(n, n+1)); err != nil {
					t.Fatal(err)
				}
				delete(model, n)
			case "lose":
				bucket := l.Hasher.Hash(fmt.Sprintf("kim%d@example.com", n)).Bucket()
				if err := s.client.Del(t.Context(), s.keys.Suppressions(bucket)).Err(); err != nil {
					t.Fatal(err)
				}
			case "compact":
				s.topic.compact()
			}
			var found []*topology.Suppression
			fixtures.Eventually(t, "somebody knows", func() (known bool) {
				var err error
				found, err = l.Find(t.Context(), numbered(0, 10))
				return err == nil
			})
			for i, f := range found {
				end, suppressed := model[i]
				if (f != nil) != suppressed || f != nil && f.Until.Sub(end).Abs() > time.Millisecond {
					t.Fatalf("of %d there is %+v, want %v %v after %q", i, f, suppressed, end, steps)
				}
			}
		}
	})
}
