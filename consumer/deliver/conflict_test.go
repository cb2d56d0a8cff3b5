package deliver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// TestConflictingEvents: of two events with one id the first is sent, and that the other has
// other content is counted and told of, but for its content.
func TestConflictingEvents(t *testing.T) {
	type changes = []func(*topology.Job)
	ctx := func(text string) func(*topology.Job) {
		return func(j *topology.Job) {
			j.Event = []byte(`{"id":"event","type":"order","email":"kim@example.com","ctx":` + text + `}`)
			j.Source = "meddela.realtime.events/5/9"
		}
	}
	pepper := suppress.NewHasher(strings.Repeat("p", suppress.LeastPepper))
	for name, test := range map[string]struct {
		first, second   *suppress.Hasher
		change          changes
		claim           string // that is there, instead of the first event's
		script          []provider.Response
		conflicts, sent int
	}{
		"the same":              {pepper, pepper, changes{ctx(`{"n":1}`)}, "", nil, 0, 1},
		"other ctx":             {pepper, pepper, changes{ctx(`{"n":2}`)}, "", nil, 1, 1},
		"another recipient":     {pepper, pepper, changes{to(topology.Email, "sam@example.com")}, "", nil, 1, 1},
		"another type":          {pepper, pepper, changes{func(j *topology.Job) { j.Type = "code" }}, "", nil, 1, 1},
		"another channel":       {pepper, pepper, changes{to(topology.SMS, "kim@example.com")}, "", nil, 1, 1},
		"no pepper, the same":   {nil, nil, nil, "", nil, 0, 1},
		"no pepper, other ctx":  {nil, nil, changes{ctx(`{"n":2}`)}, "", nil, 1, 1},
		"a pepper since":        {nil, pepper, changes{ctx(`{"n":2}`)}, "", nil, 0, 1},
		"an attempt for now":    {pepper, pepper, changes{ctx(`{"n":2}`)}, "", []provider.Response{failed}, 0, 3},
		"an ending without any": {pepper, pepper, changes{ctx(`{"n":2}`), expires(always)}, "", nil, 1, 1},
		"an earlier version's": {pepper, pepper, changes{ctx(`{"n":2}`)},
			"final\t1\tsent\t1764579600000\t\t\torder@1\tfake\tm\t", nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.provider.script = test.script
			var log bytes.Buffer
			deliverer := func(hasher *suppress.Hasher) *Handler {
				return w.handler(t, at(always), func(c *Config) {
					c.Hasher, c.Log, c.Retries = hasher, zerolog.New(&log), []time.Duration{time.Minute}
				})
			}
			first, second := aJob("event"), aJob("event", test.change...)
			before, h := deliverer(test.first), deliverer(test.second)
			if test.claim == "" {
				handleAll(t.Context(), t, before, batchOf(first))
			} else {
				_ = w.store.Set(keys.Claim(first.JobID), test.claim)
			}
			handleAll(t.Context(), t, h, batchOf(second))
			if n := h.Counters.Conflicting.Load(); int(n) != test.conflicts || before.Counters.Conflicting.Load() != 0 {
				t.Errorf("%d are conflicting, want %d", n, test.conflicts)
			}
			if h.Counters.Duplicates.Load() != 1 || w.provider.sent() != test.sent {
				t.Errorf("%d duplicates, %d sent", h.Counters.Duplicates.Load(), w.provider.sent())
			}
			if test.conflicts > 0 && (!strings.Contains(log.String(), string(second.Source)) ||
				strings.Count(log.String(), `"event_id":"event"`) != 1 || strings.Contains(log.String(), "example.com")) {
				t.Errorf("the log says %s", &log)
			}
			value, _ := w.store.Get(keys.Claim(first.JobID))
			if fields := strings.Split(value, "\t"); test.first == nil && len(fields[4]) != 2 {
				t.Errorf("without a pepper, so much can be guessed by: %q", fields[4])
			}
		})
	}
	t.Run("in one batch", func(t *testing.T) {
		w := newWorld(t)
		var log bytes.Buffer
		h := w.handler(t, func(c *Config) { c.Hasher, c.Log = pepper, zerolog.New(&log) })
		handleAll(t.Context(), t, h, batchOf(aJob("event"), aJob("event"), aJob("event", ctx(`{"n":2}`))))
		if n := h.Counters.Conflicting.Load(); n != 1 || w.provider.sent() != 1 {
			t.Errorf("%d are conflicting, %d were sent", n, w.provider.sent())
		}
		if said := log.String(); !strings.Contains(said, "events/5/9") || !strings.Contains(said, "events/3/7") {
			t.Errorf("the log says %s", said)
		}
	})
}
