package suppress_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func emails(addresses ...string) (all []suppress.Subject) {
	for _, a := range addresses {
		all = append(all, suppress.Subject{Channel: topology.Email, Address: a})
	}
	return all
}

func mustAdd(t testing.TB, l *suppress.List, cause topology.Cause, until time.Time, subjects ...suppress.Subject) int {
	t.Helper()
	added, err := l.Add(t.Context(), subjects, cause, until)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// answered are the list's answers about queries, as text.
func answered(t testing.TB, g *suppress.Gate, queries ...suppress.Query) (all []string) {
	t.Helper()
	answers, err := check(t.Context(), g, queries...)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		all = append(all, strings.TrimSuffix(string(a.Reason)+" "+a.Detail, " "))
	}
	return all
}

func TestSuppressing(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		ask := func() []string {
			return answered(t, gateOf(l),
				suppress.Query{Channel: topology.Email, Address: "kim@example.com"},
				suppress.Query{Channel: topology.Email, Address: "Lee@Example.com"},
				suppress.Query{Channel: topology.SMS, Address: "0046 70 123 45 67"},
				suppress.Query{Channel: topology.Push, Address: "token"},
				suppress.Query{Channel: topology.Webhook},
				suppress.Query{Channel: topology.Email, Address: "no address"},
			)
		}
		want := func(want ...string) {
			t.Helper()
			if got := ask(); !slices.Equal(got, append(want, "", "")) {
				t.Errorf("answers %q, want %q", got, want)
			}
		}
		want("", "", "", "")
		phone := suppress.Subject{Channel: topology.SMS, Address: "+46701234567"}
		mustAdd(t, l, topology.Unsubscribed, time.Time{}, emails("KIM@example.com")...)
		mustAdd(t, l, topology.Complaint, time.Now().Add(time.Hour), phone)
		lee := []topology.AddressHash{l.Hasher.Hash("lee@example.com")}
		for range 2 {
			if err := l.AddHashes(t.Context(), topology.Email, lee, topology.Bounced); err != nil {
				t.Fatal(err)
			}
		}
		want("suppressed unsubscribed", "suppressed bounced", "suppressed complaint", "")
		later := s.idle()
		later.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		s.keep(later.Copy)
		if err := later.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found, err := later.Find(t.Context(), []suppress.Subject{phone}); err != nil || found[0] != nil {
			t.Errorf("in two hours it is %+v, %v", found[0], err)
		}
		removed, err := l.Remove(t.Context(), append(emails("kim@EXAMPLE.com", "lee@example.com"), phone))
		if err != nil || removed != 3 {
			t.Errorf("%d removed, %v", removed, err)
		}
		want("", "", "", "")
	})
}

// TestNothingIsSuppressedForLess: an addition may only make it longer.
func TestNothingIsSuppressedForLess(t *testing.T) {
	hour := func(n int) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Now().Add(time.Duration(n) * time.Hour).Truncate(time.Millisecond).UTC()
	}
	for _, test := range []struct {
		name        string
		first, next int // hours; 0 is for good
		wins        bool
	}{
		{"longer", 1, 2, true}, {"shorter", 2, 1, false}, {"for good", 1, 0, true}, {"not for good any more", 0, 1, false},
		{"both for good", 0, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			onServers(t, func(t *testing.T, s store) {
				l := s.list()
				first, next := hour(test.first), hour(test.next)
				if n := mustAdd(t, l, topology.Bounced, first, emails("kim@example.com")...); n != 1 {
					t.Errorf("the first added %d", n)
				}
				if n := mustAdd(t, l, topology.Manual, next, emails("kim@example.com")...); (n == 1) != test.wins {
					t.Errorf("the second added %d", n)
				}
				if n := mustAdd(t, l, topology.Manual, next, emails("kim@example.com")...); n != 0 {
					t.Errorf("the same again added %d", n)
				}
				want, until := topology.Bounced, first
				if test.wins {
					want, until = topology.Manual, next
				}
				found, err := l.Find(t.Context(), emails("kim@example.com"))
				if err != nil || found[0] == nil || found[0].Cause != want || !found[0].Until.Equal(until) ||
					time.Since(found[0].Added) > time.Minute {
					t.Fatalf("found %+v, %v; want %s until %v", found[0], err, want, until)
				}
			})
		})
	}
}

func TestMany(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		const n = 4500 // more than one round trip has
		var even []suppress.Subject
		var all []suppress.Query
		for i := range n {
			address := fmt.Sprintf("kim%d@example.com", i)
			if i%2 == 0 {
				even = append(even, emails(address)...)
			}
			all = append(all, suppress.Query{Channel: topology.Email, Address: address})
		}
		if added := mustAdd(t, l, topology.Bounced, time.Now().Add(time.Hour), even...); added != n/2 {
			t.Errorf("%d added", added)
		}
		mustAdd(t, l, topology.Manual, time.Time{}, suppress.Subject{Channel: topology.SMS, Address: "112"})
		for i, answer := range answered(t, gateOf(l), all...) {
			if (answer == "suppressed bounced") != (i%2 == 0) {
				t.Fatalf("answer %d is %q", i, answer)
			}
		}
		counts, err := l.Counts(t.Context())
		if want := []suppress.Count{{topology.Email, topology.Bounced, n / 2, n / 2},
			{topology.SMS, topology.Manual, 1, 0}}; err != nil || !slices.Equal(counts, want) {
			t.Errorf("counts %v, %v; want %v", counts, err, want)
		}
	})
}

// TestAnotherPepper: who cannot know what is suppressed is told so, and writes
// nothing.
func TestAnotherPepper(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		subjects := emails("kim@example.com")
		mustAdd(t, s.list(), topology.Manual, time.Time{}, subjects...)
		before := len(s.topic.all())
		for want, hasher := range map[error]*suppress.Hasher{
			suppress.ErrPepper: suppress.NewHasher("another"), suppress.ErrNoPepper: nil,
		} {
			other := s.idle()
			other.Hasher = hasher
			if err := other.CheckPepper(t.Context()); !errors.Is(err, want) {
				t.Errorf("it is told %v, want %v", err, want)
			}
			s.keep(other.Copy)
			known := other.CatchUp(t.Context())
			_, add := other.Add(t.Context(), subjects, topology.Manual, time.Time{})
			_, remove := other.Remove(t.Context(), subjects)
			_, find := other.Find(t.Context(), subjects)
			_, ask := gateOf(other).Find(t.Context(), []suppress.Query{{Channel: topology.Webhook}})()
			_, restore := other.Restore(t.Context())
			for i, err := range []error{known, other.Known(), add, remove, find, ask, restore} {
				if !errors.Is(err, want) {
					t.Errorf("%d: %v, want %v", i, err, want)
				}
			}
		}
		if after := len(s.topic.all()); after != before {
			t.Errorf("%d records became %d", before, after)
		}
	})
}

// TestNoPepper: who needs none, as nothing is suppressed, learns of the first that is.
func TestNoPepper(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		none := s.idle()
		none.Hasher = nil
		if err := none.CheckPepper(t.Context()); err != nil {
			t.Error(err)
		}
		s.keep(none.Copy)
		if err := none.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask := suppress.Query{Channel: topology.Email, Address: "kim@example.com"}
		if got := answered(t, gateOf(none), ask); got[0] != "" {
			t.Errorf("the answer is %q", got)
		}
		mustAdd(t, s.list(), topology.Manual, time.Time{}, emails("kim@example.com")...)
		fixtures.Eventually(t, "it is told", func() bool { return errors.Is(none.Known(), suppress.ErrNoPepper) })
		if _, err := gateOf(none).Find(t.Context(), []suppress.Query{ask})(); err == nil {
			t.Error("there is an answer")
		}
	})
}

// TestWhatElseIsThere: what is of no known form suppresses.
func TestWhatElseIsThere(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		mustAdd(t, l, topology.Bounced, time.Now().Add(time.Hour), emails("lee@example.com")...)
		hash := string(l.Hasher.Hash("kim@example.com"))
		if err := s.topic.publish(t.Context(), []topology.Record{
			{Key: []byte("email:" + hash + ":complaint"), Value: []byte("yes")},
			{Key: []byte("email:" + hash + ":dislike"), Value: []byte("{}")},
			{Key: []byte("no key"), Value: []byte("{}")}, {Value: []byte("{}")},
		}); err != nil {
			t.Fatal(err)
		}
		if err := l.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := answered(t, gateOf(l), suppress.Query{Channel: topology.Email, Address: "kim@example.com"},
			suppress.Query{Channel: topology.Email, Address: "lee@example.com"})
		if want := []string{"suppressed complaint", "suppressed bounced"}; !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		bucket := s.keys.Suppressions(topology.AddressHash(hash).Bucket())
		if err := s.client.HSet(t.Context(), bucket, "email:"+hash, "?").Err(); err != nil {
			t.Fatal(err)
		}
		kim := suppress.Query{Channel: topology.Email, Address: "kim@example.com"}
		if got := answered(t, gateOf(l), kim); got[0] != "suppressed manual" {
			t.Errorf("what is written by hand answers %q", got)
		}
	})
}

// TestNoAddressIsKept: neither keys nor values have it, or any piece of it.
func TestNoAddressIsKept(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		mustAdd(t, s.list(), topology.Manual, time.Time{}, emails("kim@example.com")...)
		mustAdd(t, s.list(), topology.Manual, time.Time{}, suppress.Subject{Channel: topology.Push,
			Address: strings.Repeat("kim@example.com", 200)})
		admit(t, s.caps(smsCap(1, time.Hour)), suppress.Query{Channel: topology.SMS, Address: "5550123", Job: "j"})
		keys := s.allKeys(t)
		if len(keys) != topology.SuppressionBuckets+1 {
			t.Errorf("%d keys", len(keys))
		}
		for _, r := range s.topic.all() {
			if text := string(r.Key) + string(r.Value); strings.Contains(text, "kim") || strings.Contains(text, "example") {
				t.Errorf("the topic has %s", text)
			}
		}
		for _, key := range keys {
			value := s.client.Dump(t.Context(), key).Val()
			for _, piece := range []string{"kim", "example", "5550123"} {
				if strings.Contains(key, piece) || strings.Contains(value, piece) {
					t.Errorf("%s has %s", key, piece)
				}
			}
		}
	})
}

func TestRefusedAddresses(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		subjects := emails("kim@example.com", "nobody")
		if _, err := s.list().Add(t.Context(), subjects, topology.Manual, time.Time{}); !errors.Is(err, suppress.ErrAddress) {
			t.Errorf("adding: %v", err)
		}
		if _, err := s.list().Remove(t.Context(), subjects); !errors.Is(err, suppress.ErrAddress) {
			t.Errorf("removing: %v", err)
		}
		if keys := s.allKeys(t); len(keys) > 0 {
			t.Errorf("there are %v", keys)
		}
	})
}
