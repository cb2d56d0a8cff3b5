package suppress_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func emails(addresses ...string) (all []suppress.Subject) {
	for _, a := range addresses {
		all = append(all, suppress.Subject{Channel: topology.Email, Address: a})
	}
	return all
}

func mustAdd(t testing.TB, l *suppress.List, cause suppress.Cause, until time.Time, subjects ...suppress.Subject) int {
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
		mustAdd(t, l, suppress.Unsubscribed, time.Time{}, emails("KIM@example.com")...)
		mustAdd(t, l, suppress.Complaint, time.Now().Add(time.Hour), phone)
		want("suppressed unsubscribed", "", "suppressed complaint", "")
		later := s.list()
		later.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		if found, err := later.Find(t.Context(), []suppress.Subject{phone}); err != nil || found[0] != nil {
			t.Errorf("in two hours it is %+v, %v", found[0], err)
		}
		removed, err := l.Remove(t.Context(), append(emails("kim@EXAMPLE.com", "lee@example.com"), phone))
		if err != nil || removed != 2 {
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
				if n := mustAdd(t, l, suppress.Bounced, first, emails("kim@example.com")...); n != 1 {
					t.Errorf("the first added %d", n)
				}
				if n := mustAdd(t, l, suppress.Manual, next, emails("kim@example.com")...); (n == 1) != test.wins {
					t.Errorf("the second added %d", n)
				}
				if n := mustAdd(t, l, suppress.Manual, next, emails("kim@example.com")...); n != 0 {
					t.Errorf("the same again added %d", n)
				}
				want, until := suppress.Bounced, first
				if test.wins {
					want, until = suppress.Manual, next
				}
				found, err := l.Find(t.Context(), emails("kim@example.com"))
				if err != nil || found[0] == nil || found[0].Cause != want || !found[0].Until.Equal(until) ||
					time.Since(found[0].Added) > time.Minute {
					t.Fatalf("found %+v, %v; want %s until %v", found[0], err, want, until)
				}
				expiry, err := s.client.PExpireTime(t.Context(), s.keys.Suppression(topology.Email, found[0].Hash)).Result()
				// The embedded store counts from when it was told.
				off := (expiry - time.Duration(until.UnixNano())).Abs()
				if err != nil || (until.IsZero() && expiry >= 0) || (!until.IsZero() && off > 100*time.Millisecond) {
					t.Errorf("the key expires at %v, %v; want %v", expiry, err, until)
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
		if added := mustAdd(t, l, suppress.Bounced, time.Now().Add(time.Hour), even...); added != n/2 {
			t.Errorf("%d added", added)
		}
		mustAdd(t, l, suppress.Manual, time.Time{}, suppress.Subject{Channel: topology.SMS, Address: "112"})
		for i, answer := range answered(t, gateOf(l), all...) {
			if (answer == "suppressed bounced") != (i%2 == 0) {
				t.Fatalf("answer %d is %q", i, answer)
			}
		}
		counts, err := l.Counts(t.Context())
		if want := []suppress.Count{{topology.Email, suppress.Bounced, n / 2, n / 2},
			{topology.SMS, suppress.Manual, 1, 0}}; err != nil || !slices.Equal(counts, want) {
			t.Errorf("counts %v, %v; want %v", counts, err, want)
		}
	})
}

// TestAnotherPepper: who cannot know what is suppressed is told so, and writes
// nothing.
func TestAnotherPepper(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		other := s.list()
		other.Hasher = suppress.NewHasher("another")
		subjects := emails("kim@example.com")
		if found, err := other.Find(t.Context(), subjects); err != nil || found[0] != nil {
			t.Fatalf("in an empty store: %v, %v", found, err)
		}
		mustAdd(t, s.list(), suppress.Manual, time.Time{}, subjects...)
		before := len(s.allKeys(t))
		_, find := other.Find(t.Context(), subjects)
		_, add := other.Add(t.Context(), subjects, suppress.Manual, time.Time{})
		_, remove := other.Remove(t.Context(), subjects)
		_, ask := gateOf(other).Find(t.Context(), []suppress.Query{{Channel: topology.Email, Address: "lee@example.com"}})()
		for i, err := range []error{find, add, remove, ask} {
			if !errors.Is(err, suppress.ErrPepper) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if after := len(s.allKeys(t)); after != before {
			t.Errorf("%d keys became %d", before, after)
		}
	})
}

// TestWhatElseIsThere: a value that is of no known form suppresses, one of
// another type is none of ours.
func TestWhatElseIsThere(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		strange := s.keys.Suppression(topology.Email, l.Hasher.Hash("kim@example.com"))
		other := s.keys.Suppression(topology.Email, l.Hasher.Hash("lee@example.com"))
		if err := errors.Join(s.client.Set(t.Context(), strange, "yes", 0).Err(),
			s.client.HSet(t.Context(), other, "a", "b").Err()); err != nil {
			t.Fatal(err)
		}
		got := answered(t, gateOf(l), suppress.Query{Channel: topology.Email, Address: "kim@example.com"},
			suppress.Query{Channel: topology.Email, Address: "lee@example.com"})
		if want := []string{"suppressed manual", ""}; !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		if counts, err := l.Counts(t.Context()); err != nil || len(counts) != 1 {
			t.Errorf("counts %v, %v", counts, err)
		}
		if added := mustAdd(t, l, suppress.Bounced, time.Now().Add(time.Hour),
			emails("kim@example.com", "lee@example.com")...); added != 2 {
			t.Errorf("%d added", added)
		}
	})
}

// TestNoAddressIsKept: neither keys nor values have it, or any piece of it.
func TestNoAddressIsKept(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		mustAdd(t, s.list(), suppress.Manual, time.Time{}, emails("kim@example.com")...)
		mustAdd(t, s.list(), suppress.Manual, time.Time{}, suppress.Subject{Channel: topology.Push,
			Address: strings.Repeat("kim@example.com", 200)})
		admit(t, s.caps(smsCap(1, time.Hour)), suppress.Query{Channel: topology.SMS, Address: "5550123", Job: "j"})
		keys := s.allKeys(t)
		if len(keys) != 4 {
			t.Errorf("%d keys", len(keys))
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
		if _, err := s.list().Add(t.Context(), subjects, suppress.Manual, time.Time{}); !errors.Is(err, suppress.ErrAddress) {
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
