package scenario

import (
	"fmt"
	"time"

	"github.com/meddela/meddela/topology"
)

// timeline is what happens when, from the moment it is made.
type timeline struct {
	*site
	began time.Time
}

func (s *site) timeline() *timeline { return &timeline{s, time.Now()} }

// at waits until a time of the timeline, when something is to happen.
func (l *timeline) at(d time.Duration) *site {
	l.t.Helper()
	time.Sleep(time.Until(l.began.Add(d)))
	return l.site
}

// by is a time by which something must be so.
func (l *timeline) by(d time.Duration) deadline { return deadline{l, d} }

type deadline struct {
	*timeline
	at time.Duration
}

// slack is how late a busy machine may make what is otherwise in time; what is
// late at all is said in the log.
const slack = 20 * time.Second

// statuses wants each event to have its outcome by then.
func (d deadline) statuses(want map[string]string) {
	d.t.Helper()
	d.awaitOutcomes(time.Until(d.began.Add(d.at+slack)), want)
	after, note := time.Since(d.began), ""
	if after > d.at {
		note = fmt.Sprintf(", which is LATE by %v", (after - d.at).Round(time.Millisecond))
	}
	d.t.Logf("%d statuses were right after %v%s", len(want), after.Round(time.Millisecond), note)
}

// publish publishes to a lane as an upstream system.
func (s *site) publish(lane topology.Lane, records ...record) {
	s.t.Helper()
	if err := s.upstream.publish(string(s.topics.Events(lane)), records); err != nil {
		s.t.Fatal(err)
	}
}

// event is a plain event whose key is its id.
func event(id, format string, values ...any) record {
	return record{key: id, value: fmt.Appendf(nil, format, values...), partition: anyPartition}
}

// order is an event that is sent, to an address of the given domain label.
func order(id, label string) record {
	return event(id, `{"id":%q,"type":"order_confirmation","email":"kim@%s.%s","language":"sv-FI",`+
		`"ctx":{"firstName":"Kim","order":{"number":%q,"total":"129.90","currency":"EUR"}}}`, id, label, recipientDomain, id)
}
