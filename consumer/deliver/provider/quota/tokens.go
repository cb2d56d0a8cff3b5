package quota

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/meddela/meddela/topology"
)

const (
	// burst is how much of a second's messages may go at once.
	burst = 100 * time.Millisecond
	// share is how much of a second's messages a process takes at a time.
	share = 20 * time.Millisecond
	// tokenLife is how long a token that was taken may be used.
	tokenLife = 200 * time.Millisecond
	// tokenWait is how long a message that has a slot may wait for its token.
	tokenWait = 5 * time.Second
)

// newTokens makes the pool of leave to hand over a message each: when each token was taken.
func newTokens(c *Config) *pool[time.Time] {
	most, left := bucket(c)
	atMost := max(int(c.Rate*share.Seconds()), 1)
	key := c.Keys.ProviderRate(c.Provider)
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	t := new(pool[time.Time])
	t.fresh = func(taken time.Time) bool { return time.Since(taken) < tokenLife }
	var last time.Time
	before := 0
	t.fetch = func(ctx context.Context, want int) ([]time.Time, time.Duration, error) {
		// Where the last ones were used up at once, take more at a time.
		if time.Since(last) < share {
			want = max(want, 2*before)
		}
		want = min(want, atMost)
		last, before = time.Now(), want
		answer, err := rateScript.Run(ctx, c.Client, []string{key},
			number(c.Rate), number(most), number(left), want).Int64Slice()
		if err != nil || len(answer) != 2 {
			return nil, 0, err
		}
		got := make([]time.Time, answer[0])
		for i := range got {
			got[i] = time.Now()
		}
		return got, time.Duration(min(answer[1], math.MaxInt32)) * time.Millisecond, nil
	}
	return t
}

// bucket is how many tokens there are at most, and how many of them this process's lane must leave. What is reserved is
// at least one message, however low the rate is.
func bucket(c *Config) (most, left float64) {
	most = max(c.Rate*burst.Seconds(), 1)
	if c.Reserve == 0 {
		return most, 0
	}
	most = max(most, 2)
	if c.Lane == topology.Batch {
		left = min(max(most*c.Reserve, 1), most-1)
	}
	return most, left
}
