package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/topology/retry"
)

// TestBackoff: waits double from 50 ms to 2 s, each shortened by up to half, and
// begin anew after a reset.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b retry.Backoff
		for round := range 2 {
			for i := range 100 {
				most := min(50*time.Millisecond<<min(i, 10), 2*time.Second)
				began := time.Now()
				if !b.Wait(t.Context()) {
					t.Fatal("a wait that nothing ended was cut short")
				}
				if took := time.Since(began); took < most/2 || took > most {
					t.Errorf("round %d: wait %d took %v, want %v to %v", round, i, took, most/2, most)
				}
			}
			b.Reset()
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if retry.Sleep(ctx, time.Hour) || time.Since(began) != time.Second {
			t.Errorf("slept for %v, want a second", time.Since(began))
		}
	})
}

// TestUntil: it tries longer and longer apart, warns of what fails, and ends when a
// try succeeds or with its context, of which it does not warn.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tries, warnings := 0, 0
		try := func() error {
			if tries++; tries == 4 {
				return nil
			}
			return errors.New("away")
		}
		warn := func(err error, times int) {
			if warnings++; err.Error() != "away" || warnings == 1 && times != 1 {
				t.Errorf("warned of %v, %d times", err, times)
			}
		}
		if !retry.Until(ctx, try, warn) || tries != 4 || warnings != 1 {
			t.Errorf("%d tries and %d warnings, want 4 and 1", tries, warnings)
		}
		if retry.Until(ctx, try, warn) || ctx.Err() == nil || warnings < 5 {
			t.Errorf("%d warnings, and the context's error is %v", warnings, ctx.Err())
		}
		if warnings = 0; retry.Until(ctx, try, warn) || warnings != 0 {
			t.Errorf("%d warnings after the end", warnings)
		}
	})
}

func TestWarner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w retry.Warner
		var told []int
		for range 25 {
			w.Warn(func(times int) { told = append(told, times) })
			time.Sleep(time.Second)
		}
		if len(told) != 3 || told[0] != 1 || told[1] != 11 || told[2] != 21 {
			t.Errorf("told of failures %v, want 1, 11 and 21", told)
		}
	})
}
