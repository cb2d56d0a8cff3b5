package quota

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"time"
)

const (
	// slotHold is how long a process uses a slot for one message after the
	// other before it gives it back, for whoever else waits.
	slotHold = time.Second
	// slotIdle is how long it keeps one that it does not use.
	slotIdle = 50 * time.Millisecond
	// slotPoll is how soon a process that got none asks again.
	slotPoll = 10 * time.Millisecond
)

// slot is leave to have a message with the provider.
type slot struct {
	id          string
	taken, used time.Time
}

// slots are those that this process has.
type slots struct {
	pool[*slot]
	config *Config
	owner  string

	// Under the pool's lock.
	next  int64
	back  []string // to be given back with the next call
	armed bool     // giveBack is going to be called
}

func newSlots(c *Config) *slots {
	s := &slots{config: c, owner: rand.Text() + ":"}
	s.fresh = func(one *slot) bool {
		if time.Since(one.taken) < slotHold {
			return true
		}
		s.back = append(s.back, one.id)
		s.arm()
		return false
	}
	s.kept = s.arm
	s.fetch = s.exchange
	return s
}

// exchange gives back what is to be given back, and asks for more.
func (s *slots) exchange(ctx context.Context, asked int) ([]*slot, time.Duration, error) {
	s.mu.Lock()
	want, back, first := asked, s.back, s.next
	if s.back = nil; len(back) > 0 {
		// Others have a turn before it asks again.
		want = 0
	}
	s.next += int64(want)
	s.mu.Unlock()
	c, now := s.config, time.Now()
	args := []any{c.atOnce(), c.lease().Milliseconds(), want, s.owner, first}
	for _, id := range back {
		args = append(args, id)
	}
	n, err := slotsScript.Run(ctx, c.Client, []string{c.Keys.ProviderSlots(c.Provider)}, args...).Int()
	if err != nil {
		s.mu.Lock()
		s.back = append(s.back, back...)
		// Some may have been taken all the same.
		for i := range want {
			s.back = append(s.back, s.id(first+int64(i)))
		}
		if asked > 0 {
			s.arm()
		}
		s.mu.Unlock()
		return nil, slotPoll, err
	}
	got := make([]*slot, n)
	for i := range got {
		got[i] = &slot{id: s.id(first + int64(i)), taken: now, used: now}
	}
	return got, slotPoll, nil
}

func (s *slots) id(number int64) string { return s.owner + strconv.FormatInt(number, 10) }

// lease is how long a slot is kept for a process that does not give it back: longer than one can be in use.
func (c *Config) lease() time.Duration { return slotHold + tokenWait + c.SendTime + 5*time.Second }

// release lets the next message have the slot, or gives it back soon.
func (s *slots) release(one *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.used = time.Now()
	s.add(one)
}

// arm is called with the lock held.
func (s *slots) arm() {
	if !s.armed {
		s.armed = true
		time.AfterFunc(slotIdle, func() { s.giveBack(slotIdle) })
	}
}

// giveBack gives back what has not been used for a while. The last ones that were used are at the end.
func (s *slots) giveBack(idle time.Duration) {
	s.mu.Lock()
	unused := 0
	for unused < len(s.free) && time.Since(s.free[unused].used) >= idle {
		s.back = append(s.back, s.free[unused].id)
		unused++
	}
	s.free = slices.Delete(s.free, 0, unused)
	if s.armed = false; len(s.free) > 0 {
		s.arm()
	}
	due := len(s.back) > 0
	s.mu.Unlock()
	if due {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		defer cancel()
		_, _, _ = s.exchange(ctx, 0) // what fails is given back with the next call
	}
}
