package scenario

import (
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestRedisAway kills Redis in mid-stream and brings it back: the roles wait,
// and go on by themselves. Nothing is sent twice.
func TestRedisAway(t *testing.T) {
	breaking(t, func(t *testing.T, s *site) {
		outage(t, s, s.outages.killStore, s.outages.startStore)
	})
}

// TestBrokerAway kills a broker in mid-stream and brings it back: one of three
// on real servers, the only one on embedded ones. Nothing is lost, and nothing
// is sent twice.
func TestBrokerAway(t *testing.T) {
	breaking(t, func(t *testing.T, s *site) {
		outage(t, s, s.outages.killBroker, s.outages.startBroker)
	})
}

// outage is a stream during which a server is away for a while.
func outage(t *testing.T, s *site, kill, start func() error) {
	const lane = topology.Realtime
	before := s.startRoles(lane)
	events := s.stream(lane, orders)
	events.awaitPublished(5 * perTick())
	s.awaitOutcomes(20*time.Second, events.published())

	began := time.Now()
	if err := kill(); err != nil {
		t.Fatal(err)
	}
	start = sync.OnceValue(start)
	defer func() { _ = start() }() // for the scenarios after this one
	time.Sleep(awayTime)
	if err := start(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	events.awaitPublished(5 * perTick())
	s.awaitOutcomes(60*time.Second, events.published())
	caughtUp := time.Now()

	want := events.end()
	s.awaitOutcomes(30*time.Second, want)
	s.awaitQuiet(lane)
	s.checkStatuses(want)
	s.checkAcceptedOnce(want)
	for _, p := range before {
		select {
		case <-p.ended:
			t.Errorf("%s ended meanwhile", p.name)
		default:
		}
	}
	t.Logf("%d events; the server was away for %v, and all was caught up %v later",
		len(want), back.Sub(began).Round(time.Millisecond), caughtUp.Sub(back).Round(time.Millisecond))
}

// awayTime is how long a server is away.
const awayTime = 2 * time.Second
