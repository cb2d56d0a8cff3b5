package gather_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/topology/gather"
)

// sent are groups, each with when it was begun.
type sent struct {
	mu     sync.Mutex
	groups [][]int
	at     []time.Duration
}

// slow makes a Gather whose groups take 10 ms each.
func slow(most int, pace time.Duration) (*gather.Gather[int], *sent) {
	began, s := time.Now(), new(sent)
	return &gather.Gather[int]{Most: most, Pace: pace, Do: func(group []int) {
		s.mu.Lock()
		s.groups, s.at = append(s.groups, group), append(s.at, time.Since(began))
		s.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}}, s
}

// TestGroups: the first goes at once, what comes meanwhile goes together, and no
// more are under way than may be.
func TestGroups(t *testing.T) {
	for name, test := range map[string]struct {
		most   int
		pace   time.Duration
		groups [][]int
		at     []time.Duration // in ms
	}{
		"one at a time":  {1, 0, [][]int{{0}, {1, 2, 3, 4}, {5}}, []time.Duration{0, 10, 20}},
		"two at a time":  {2, 0, [][]int{{0}, {1}, {2, 3, 4}, {5}}, []time.Duration{0, 2, 10, 20}},
		"at a pace":      {9, 5 * time.Millisecond, [][]int{{0}, {1, 2}, {3, 4}, {5}}, []time.Duration{0, 5, 10, 20}},
		"slow at a pace": {1, 15 * time.Millisecond, [][]int{{0}, {1, 2, 3, 4}, {5}}, []time.Duration{0, 10, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := slow(test.most, test.pace)
				for i := range 5 { // at 0, 2, 4, 6 and 8 ms
					g.Add(i)
					time.Sleep(2 * time.Millisecond)
				}
				time.Sleep(10 * time.Millisecond)
				g.Add(5)
				time.Sleep(time.Second)
				synctest.Wait()
				for i := range s.at {
					s.at[i] /= time.Millisecond
				}
				if !slices.EqualFunc(s.groups, test.groups, slices.Equal) || !slices.Equal(s.at, test.at) {
					t.Errorf("groups %v at %v, want %v at %v", s.groups, s.at, test.groups, test.at)
				}
			})
		})
	}
}

// TestHelp: what was put goes together, in the goroutine of who helps, or else when
// a group may begin.
func TestHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		g, s := slow(1, 0)
		g.Put(1)
		g.Put(2, 3)
		time.Sleep(time.Millisecond)
		if len(s.groups) != 0 {
			t.Errorf("sent by nobody: %v", s.groups)
		}
		var first sync.WaitGroup
		first.Go(g.Help)
		time.Sleep(time.Millisecond)
		g.Put(4)
		g.Help() // which may not
		if took := time.Since(began); took != 2*time.Millisecond {
			t.Errorf("who could not help waited: %v", took)
		}
		first.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if want := [][]int{{1, 2, 3}, {4}}; !slices.EqualFunc(s.groups, want, slices.Equal) {
			t.Errorf("groups %v, want %v", s.groups, want)
		}
	})
}

// TestAllAreSentOnce, whoever adds them.
func TestAllAreSentOnce(t *testing.T) {
	for _, pace := range []time.Duration{0, time.Microsecond, time.Millisecond} {
		var mu sync.Mutex
		var done sync.WaitGroup
		got := make([]int, 1000)
		under, most := 0, 0
		g := gather.Gather[int]{Most: 2, Pace: pace, Do: func(group []int) {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			time.Sleep(10 * time.Microsecond)
			mu.Lock()
			defer mu.Unlock()
			under--
			for _, i := range group {
				got[i]++
				done.Done()
			}
		}}
		done.Add(len(got))
		for from := range 10 {
			go func() {
				for i := from * 100; i < from*100+100; i += 2 {
					g.Add(i)
					g.Put(i + 1)
					g.Help()
				}
			}()
		}
		done.Wait()
		if most > 2 || slices.ContainsFunc(got, func(n int) bool { return n != 1 }) {
			t.Errorf("pace %v: %d under way at once; sent %v times", pace, most, got)
		}
	}
}

// TestTogether: for as long as one of them wants it, and no longer.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, order := range [][]int{{0}, {0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
			all, cancels := make([]context.Context, len(order)), make([]context.CancelFunc, len(order))
			for i := range all {
				all[i], cancels[i] = context.WithCancel(t.Context())
			}
			ctx, end := gather.Together(all)
			for n, i := range order {
				if ctx.Err() != nil {
					t.Errorf("%v: it has ended after %d", order, n)
				}
				cancels[i]()
				synctest.Wait()
			}
			if ctx.Err() == nil {
				t.Errorf("%v: it has not ended", order)
			}
			end()
		}
		ctx, end := gather.Together([]context.Context{t.Context(), context.Background()})
		end()
		if ctx.Err() == nil {
			t.Error("it has not ended with its own end")
		}
	})
}

// TestRest: nothing is sent while it rests, and what came meanwhile goes together, once.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := slow(9, time.Millisecond)
		g.Add(0)
		synctest.Wait()
		g.Rest(50 * time.Millisecond)
		g.Rest(20 * time.Millisecond) // which ends sooner
		for i := range 4 {
			g.Add(i + 1)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := [][]int{{0}, {1, 2, 3, 4}}
		if !slices.EqualFunc(s.groups, want, slices.Equal) || s.at[1] != 50*time.Millisecond {
			t.Errorf("groups %v at %v, want %v, the second at 50 ms", s.groups, s.at, want)
		}
	})
}
