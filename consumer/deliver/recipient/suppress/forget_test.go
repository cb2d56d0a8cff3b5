package suppress

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestForgetting is told of once, where it lasts for a second; a first suppression is known a moment later.
func TestForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &Copy{Log: zerolog.New(&log)}
		warned := func(want int) {
			t.Helper()
			synctest.Wait()
			if n := strings.Count(log.String(), "not known any more"); n != want {
				t.Errorf("%d warnings, want %d", n, want)
			}
		}
		c.know(state{topic: emptyTopic})
		c.forget()
		time.Sleep(tellAfter / 2)
		c.know(state{topic: "a"})
		time.Sleep(time.Hour)
		warned(0)
		c.forget()
		time.Sleep(time.Hour)
		c.forget() // what is forgotten
		time.Sleep(time.Hour)
		warned(1)
	})
}
