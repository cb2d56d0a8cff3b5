package simulation

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// TestDays: the night in which summer time ends, a schedule over two of the longest waits, and an id that comes again
// after a day, and after nine. All processes are stopped for most of the time, and what they wait for goes on.
func TestDays(t *testing.T) {
	if *seeds < 3 {
		t.Skip("it takes a minute: -seeds 3")
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 10, 24, 20, 55, 0, 0, time.UTC)))
		w := newWorld(t, plan{lane: topology.Realtime, partitions: 1, expiry: time.Second,
			layout: []layout{{"all", topology.Roles()}}})
		evening := time.Now()
		once := func(id string, e topology.Event) {
			e.ID, e.Ctx = topology.EventID(id), []byte(`{"name":"Kim"}`)
			w.published[e.ID] = planned{event: e, kind: plain}
			w.upstream(func(upstream *kgo.Client) { w.hand(upstream, &e, e.Append(nil)) })
		}
		sms := func(typ, country string) topology.Event {
			return topology.Event{Type: typ, Channel: topology.SMS, To: "+46701740605", Country: country}
		}
		once("night-SE", sms("news", "SE")) // it is 22:55 there; 8:00 comes an hour later than on other days
		day := sms("news", "")
		day.Timezone = "America/Los_Angeles"
		once("day-US", day)
		later := sms("code", "SE")
		later.Scheduled = evening.Add(13*time.Hour + 7*time.Minute).UTC().Truncate(time.Second)
		once("scheduled", later)
		once("again", sms("code", "SE"))

		w.rest(time.Date(2026, 10, 25, 6, 50, 0, 0, time.UTC))
		time.Sleep(20 * time.Minute)
		w.rest(later.Scheduled.Add(-10 * time.Minute))
		time.Sleep(15 * time.Minute)
		w.rest(evening.Add(26 * time.Hour))
		once("again", sms("code", "SE"))
		time.Sleep(5 * time.Minute)

		for id, due := range map[topology.EventID]time.Time{
			"night-SE": time.Date(2026, 10, 25, 7, 0, 0, 0, time.UTC), "day-US": evening, "again": evening,
			"scheduled": later.Scheduled,
		} {
			copies := w.outside.accepted[topology.JobIDOf(id, 0)]
			if len(copies) != 1 || copies[0].at.Before(due) || copies[0].at.After(due.Add(2*time.Minute)) {
				got, _, _ := w.reader.Get(t.Context(), id)
				t.Errorf("%s was to be sent once, at %s: %+v\n%+v\n%s", id, due, copies, got, w.log.about(string(id)))
			}
		}

		w.rest(evening.Add(9 * 24 * time.Hour)) // a claim is kept for eight days: after that the id is another event's
		once("again", sms("code", "SE"))
		time.Sleep(5 * time.Minute)
		if copies := w.outside.accepted[topology.JobIDOf("again", 0)]; len(copies) != 2 {
			t.Errorf("on the ninth day: %+v", copies)
		}
		w.end()
		w.close()
	})
}

// rest stops all processes soon, when what is under way is done, until a time.
func (w *world) rest(until time.Time) {
	time.Sleep(30 * time.Second)
	for i := range w.plan.layout {
		w.staysAway(i, time.Until(until))
	}
	w.stopAll()
	w.writer.Transport.(interface{ CloseIdleConnections() }).CloseIdleConnections() // which ask for metadata all the time
	time.Sleep(time.Until(until))
}
