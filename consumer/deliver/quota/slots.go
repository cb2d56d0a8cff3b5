package quota

import (
	"context"
	"crypto/rand"
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
	id    string
	taken time.Time
}

// slots are those that this process has.
type slots struct {
	stock[*slot]
	config *Config
	owner  string

	// Under the stock's lock.
	next  int64
	back  []string // to be given back with the next call
	timer *time.Timer
}

func newSlots(c *Config) *slots {
	s := &slots{config: c, owner: rand.Text() + ":"}
	s.changed = make(chan struct{})
	s.fresh = func(one *slot) bool {
		if time.Since(one.taken) < slotHold {
			return true
		}
		s.back = append(s.back, one.id)
		return false
	}
	s.fetch = s.ask
	return s
}

// ask gives back what is to be given back, and asks for more.
func (s *slots) ask(ctx context.Context, want int) ([]*slot, time.Duration, error) {
	s.mu.Lock()
	back, first := s.back, s.next
	if s.back = nil; len(back) > 0 {
		// Others have a turn before it asks again.
		want = 0
	}
	s.next += int64(want)
	s.mu.Unlock()
	now := time.Now()
	n, err := s.run(ctx, want, first, back)
	if err != nil {
		s.mu.Lock()
		s.back = append(s.back, back...)
		// Some may have been taken all the same.
		for i := range want {
			s.back = append(s.back, s.id(first+int64(i)))
		}
		s.mu.Unlock()
		return nil, slotPoll, err
	}
	got := make([]*slot, n)
	for i := range got {
		got[i] = &slot{id: s.id(first + int64(i)), taken: now}
	}
	return got, slotPoll, nil
}

func (s *slots) id(number int64) string { return s.owner + strconv.FormatInt(number, 10) }

func (s *slots) run(ctx context.Context, want int, first int64, back []string) (int, error) {
	lease := slotHold + s.config.SendTime + 5*time.Second
	args := []any{s.config.atOnce(), lease.Milliseconds(), want, s.owner, first}
	for _, id := range back {
		args = append(args, id)
	}
	return slotsScript.Run(ctx, s.config.Client, []string{s.config.Keys.ProviderSlots(s.config.Provider)}, args...).Int()
}

// give lets the next message have the slot, or gives it back soon.
func (s *slots) give(one *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(one)
	if s.timer == nil {
		s.timer = time.AfterFunc(slotIdle, s.giveBack)
	} else {
		s.timer.Reset(slotIdle)
	}
}

// giveBack gives back what has not been used for a while.
func (s *slots) giveBack() {
	s.mu.Lock()
	for _, one := range s.free {
		s.back = append(s.back, one.id)
	}
	s.free = nil
	back := s.back
	s.back = nil
	s.mu.Unlock()
	if len(back) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.run(ctx, 0, 0, back); err != nil {
		s.mu.Lock()
		s.back = append(s.back, back...)
		s.mu.Unlock()
	}
}

func (s *slots) close() {
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.giveBack()
}
