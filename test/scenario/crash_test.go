package scenario

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestCrashes kills each role in turn in mid-stream, and starts it again. Every
// event comes to its right status. Nothing is missing among what was sent, and
// nothing is sent twice but what the killed deliverer may have sent already
// and had not recorded; and of that nothing whose template says to hold it.
func TestCrashes(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.settings = append(s.settings, "MEDDELA_SANDBOX_LATENCY=20ms")
		s.startRoles(lane)
		events := s.stream(lane, ordersInvoicesAndLater)
		events.awaitPublished(5 * perTick())

		for _, role := range []topology.Role{topology.RoleStatus, topology.RoleMatch, topology.RoleDelay} {
			s.kill9(s.running(role))
			s.start(role, lane)
			events.awaitPublished(2 * perTick())
			s.awaitOutcomes(40*time.Second, events.published())
		}
		killed := s.running(topology.RoleDeliver)
		s.killWhileSending(killed, events)
		s.start(topology.RoleDeliver, lane)
		events.awaitPublished(2 * perTick())

		want := events.end()
		s.awaitOutcomes(60*time.Second, want)
		s.awaitQuiet(lane)
		s.checkStatuses(want)
		checkRepeats(t, s, want, killed)
	})
}

// ordersInvoicesAndLater makes orders, some of them scheduled, and invoices,
// whose template says not to send again what may have been sent.
func ordersInvoicesAndLater(i int) (record, string) {
	switch {
	case i%5 == 1:
		id := fmt.Sprintf("invoice-%d", i)
		return event(id, `{"id":%q,"type":"invoice","email":"kim@mail.%s","ctx":{"firstName":"Kim","invoice":{"number":"F-1",`+
			`"total":"10.00","currency":"SEK","due":"2026-12-31T00:00:00Z","link":"https://shop.test/f1","lines":[]}}}`, id,
			recipientDomain), "sent|delivery_error/ambiguous"
	case i%5 == 2:
		id := fmt.Sprintf("later-%d", i)
		at := time.Now().Add(time.Duration(i%3+1) * time.Second).UTC().Format(topology.TimeFormat)
		return event(id, `{"id":%q,"type":"password_reset","scheduled":%q,"email":"kim@mail.%s",`+
			`"ctx":{"firstName":"Kim","link":"https://shop.test/r"}}`, id, at, recipientDomain), "sent"
	}
	return orders(i)
}

// running is the process of a role that runs.
func (s *site) running(role topology.Role) *process {
	s.t.Helper()
	for _, p := range s.processes {
		if p.role == role && p.running {
			return p
		}
	}
	s.t.Fatalf("no process of %s runs", role)
	return nil
}

// killWhileSending kills a deliverer as soon as it has sent the first of a
// burst of events.
func (s *site) killWhileSending(p *process, events *stream) {
	s.t.Helper()
	file := filepath.Join(s.dir, p.name+acceptancesSuffix)
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			s.t.Fatal(err)
		}
		return info.Size()
	}
	events.burst(20 * perTick())
	before, deadline := size(), time.Now().Add(30*time.Second)
	for size() == before {
		if time.Now().After(deadline) {
			s.t.Fatal("nothing was sent that it could be killed at")
		}
		time.Sleep(100 * time.Microsecond)
	}
	s.kill9(p)
}

// mostInDoubt is how many messages a deliverer may have with its provider, and as
// many again whose outcome it is recording.
const mostInDoubt = 2 * 64

// checkRepeats checks what was accepted how often, and prints it.
func checkRepeats(t *testing.T, s *site, want map[string]string, killed *process) {
	t.Helper()
	outcomes, err := s.outcomesOf(slices.Collect(maps.Keys(want)))
	if err != nil {
		t.Fatal(err)
	}
	all := s.acceptances()
	repeats, held, missing := 0, 0, 0
	for id := range want {
		of := all[id]
		ambiguous := outcomes[id] == "delivery_error/ambiguous"
		switch {
		case ambiguous:
			held++
			if len(of) > 1 || len(of) == 1 && of[0].process != killed.name {
				t.Errorf("%s is held, and was accepted %d times", id, len(of))
			}
		case len(of) == 0:
			missing++
		case len(of) == 2 && strings.HasPrefix(id, "invoice"):
			t.Errorf("%s was accepted twice, against its template", id)
		case len(of) == 2 && (of[0].process == killed.name || of[1].process == killed.name):
			repeats++
		case len(of) > 1:
			t.Errorf("%s was accepted %d times: %+v", id, len(of), of)
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d events that are sent were never accepted", missing, len(want))
	}
	if repeats+held > mostInDoubt {
		t.Errorf("%d events were sent again and %d held, more than %d", repeats, held, mostInDoubt)
	}
	t.Logf("%d events, %d sent again after the crash, %d held as ambiguous", len(want), repeats, held)
}
