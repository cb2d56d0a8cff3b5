package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// auditor starts role audit.
func (s *site) auditor() *process {
	s.settings = append(s.settings, "MEDDELA_AUDIT_EVERY=200ms", "MEDDELA_AUDIT_WAIT=0s")
	p := s.start(topology.RoleAudit, "")
	s.eventually(20*time.Second, "the auditor has looked", p.healthy)
	return p
}

// unaccounted are lines of metrics: how many events each role has lost on a lane.
func unaccounted(lane topology.Lane, match, deliver, delay int) (lines []string) {
	for _, one := range []struct {
		role topology.Role
		n    int
	}{{topology.RoleMatch, match}, {topology.RoleDeliver, deliver}, {topology.RoleDelay, delay}} {
		lines = append(lines, fmt.Sprintf(`meddela_audit_unaccounted{lane="%s",role="%s"} %d`, lane, one.role, one.n))
	}
	return lines
}

// named checks that the auditor's log names these losses: role, topic and event id.
func (s *site) named(auditor *process, losses ...[3]string) {
	s.t.Helper()
	log, err := os.ReadFile(auditor.log)
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[[3]string]bool{}
	for line := range strings.Lines(string(log)) {
		var of struct {
			Role  string `json:"committed_by"`
			Topic string `json:"topic"`
			ID    string `json:"event_id"`
			Level string `json:"level"`
		}
		if json.Unmarshal([]byte(line), &of) == nil && of.Level == "error" {
			found[[3]string{of.Role, of.Topic, of.ID}] = true
		}
	}
	for _, l := range losses {
		if !found[l] {
			s.t.Errorf("the auditor's log does not name %v; it names %v", l, found)
		}
	}
}

// skip commits, for a group without members, past all that a topic has.
func (s *site) skip(group string, topic topology.Topic) {
	s.t.Helper()
	ends, err := s.cluster.ends(string(topic))
	if err != nil {
		s.t.Fatal(err)
	}
	offsets := make(kadm.Offsets)
	for p, end := range ends {
		offsets.AddOffset(string(topic), p, end, -1)
	}
	if err := kadm.NewClient(s.cluster.client).CommitAllOffsets(context.Background(), group, offsets); err != nil {
		s.t.Fatal(err)
	}
}

// deleteAll deletes all records of a topic, as retention would.
func (s *site) deleteAll(topic topology.Topic) {
	s.t.Helper()
	ends, err := s.cluster.ends(string(topic))
	if err != nil {
		s.t.Fatal(err)
	}
	offsets := make(kadm.Offsets)
	for p, end := range ends {
		offsets.AddOffset(string(topic), p, end, -1)
	}
	answers, err := kadm.NewClient(s.cluster.client).DeleteRecords(context.Background(), offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestTheAuditorNoticesLosses at each hop, on each lane, and names them; and sees what is published again.
func TestTheAuditorNoticesLosses(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		auditor := s.auditor()
		for _, lane := range topology.Lanes() {
			id := func(of string) string { return string(lane) + "-lost-" + of }
			want := map[string]string{id("not"): "sent"}
			roles := s.startRoles(lane)
			s.publish(lane, order(id("not"), "mail"))
			s.awaitOutcomes(20*time.Second, want)
			s.awaitQuiet(lane)
			s.stop(roles[0]) // match: it swallows one, and retention has another before it
			s.publish(lane, order(id("by-match"), "mail"))
			s.skip(s.topics.Group(topology.RoleMatch, lane), s.topics.Events(lane))
			s.eventually(20*time.Second, "what match swallowed is noticed",
				func() error { return auditor.shows(unaccounted(lane, 1, 0, 0)) })
			s.publish(lane, order(id("by-retention"), "mail"))
			s.deleteAll(s.topics.Events(lane))
			s.eventually(20*time.Second, "what retention had before match is noticed",
				func() error { return auditor.shows(unaccounted(lane, 2, 0, 0)) })

			s.start(topology.RoleMatch, lane)
			s.stop(roles[1]) // deliver: a job is deleted
			s.publish(lane, order(id("job"), "mail"))
			s.eventually(20*time.Second, "its job is there", func() error {
				behind, err := s.cluster.behind(s.topics.Group(topology.RoleMatch, lane), string(s.topics.Events(lane)))
				if err != nil || behind != 0 {
					return fmt.Errorf("match is %d behind: %v", behind, err)
				}
				return nil
			})
			s.deleteAll(s.topics.Jobs(lane))
			s.eventually(20*time.Second, "the job that is gone is noticed",
				func() error { return auditor.shows(unaccounted(lane, 2, 1, 0)) })

			s.stop(roles[3]) // delay: what waits is deleted
			later := time.Now().Add(time.Hour).UTC().Format(topology.TimeFormat)
			s.publish(lane, event(id("later"), `{"id":%q,"type":"password_reset","scheduled":%q,"email":"kim@mail.%s","ctx":{"firstName":"Kim","link":"https://shop.test/r"}}`,
				id("later"), later, recipientDomain))
			s.eventually(20*time.Second, "it waits", func() error {
				ends, err := s.cluster.ends(string(s.topics.Delay(lane, topology.TierFor(50*time.Minute))))
				for _, end := range ends {
					if end > 0 {
						return err
					}
				}
				return fmt.Errorf("no partition has any: %v", err)
			})
			s.deleteAll(s.topics.Delay(lane, topology.TierFor(50*time.Minute)))
			s.eventually(20*time.Second, "what waited and is gone is noticed",
				func() error { return auditor.shows(unaccounted(lane, 2, 1, 1)) })
			events := string(s.topics.Events(lane))
			s.named(auditor, [3]string{"match", events, id("by-match")}, [3]string{"match", events, ""},
				[3]string{"deliver", events, id("job")},
				[3]string{"delay", string(s.topics.Delay(lane, topology.TierFor(50*time.Minute))), ""})

			s.stop(auditor) // the next one knows the same
			auditor = s.auditor()
			s.eventually(20*time.Second, "the next auditor knows",
				func() error { return auditor.shows(unaccounted(lane, 2, 1, 1)) })
			s.start(topology.RoleDeliver, lane)
			s.publish(lane, order(id("by-match"), "mail"), order(id("job"), "mail"))
			want[id("by-match")], want[id("job")] = "sent", "sent"
			s.awaitOutcomes(20*time.Second, want)
			s.eventually(20*time.Second, "it sees what is published again",
				func() error { return auditor.shows(unaccounted(lane, 1, 0, 1)) })
		}
	})
}

// TestTheAuditorRaisesNoFalseAlarm whatever comes and whoever dies.
func TestTheAuditorRaisesNoFalseAlarm(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		auditor := s.auditor()
		want := make(map[string]string)
		for _, lane := range topology.Lanes() {
			roles := s.startRoles(lane)
			publisher, err := newFranz(s.brokers, kgo.TransactionalID(s.topics.Prefix+"audited"))
			if err != nil {
				t.Fatal(err)
			}
			defer publisher.client.Close()
			stream := s.stream(lane, func(i int) (record, string) {
				return order(fmt.Sprintf("%s-%d", lane, i), "mail"), "sent"
			})
			for n, id := range []string{"committed", "aborted"} {
				id = string(lane) + id
				if err := publisher.transact(string(s.topics.Events(lane)), []record{order(id, "mail")}, n == 0); err != nil {
					t.Fatal(err)
				}
			}
			want[string(lane)+"committed"] = "sent"
			twice := order(string(lane)+"twice", "mail")
			s.publish(lane, twice, twice, record{key: "tombstone", partition: anyPartition},
				event("bad", "{"), event("none", `{"id":%q,"type":"unheard_of","ctx":{}}`, string(lane)+"-none"))
			want[string(lane)+"twice"], want[string(lane)+"-none"] = "sent", "not_covered/no_template_for_type"
			later := string(lane) + "later"
			s.publish(lane, event(later, `{"id":%q,"type":"password_reset","scheduled":%q,"email":"kim@mail.%s","ctx":{"firstName":"Kim","link":"https://shop.test/r"}}`,
				later, time.Now().Add(10*time.Second).UTC().Format(topology.TimeFormat), recipientDomain))
			want[later] = "sent"
			s.eventually(20*time.Second, "what waits is followed", func() error {
				return auditor.shows([]string{fmt.Sprintf(`meddela_audit_waiting{lane="%s"} 1`, lane)})
			})
			for _, p := range roles[:2] { // match and deliver: others take over, and do again what was not committed
				s.start(p.role, lane)
				s.kill9(p)
			}
			s.awaitGroups(lane)
			s.run("uncovered", "heal", "--lane", string(lane))
			for id, outcome := range stream.end() {
				want[id] = outcome
			}
		}
		s.awaitOutcomes(40*time.Second, want)
		for _, lane := range topology.Lanes() {
			s.awaitQuiet(lane)
			s.publish(lane, order(string(lane)+"last", "mail"))
			s.awaitQuiet(lane)
			s.eventually(20*time.Second, "all are accounted for", func() error {
				return auditor.shows(append(unaccounted(lane, 0, 0, 0), fmt.Sprintf(`meddela_audit_open{lane="%s"} 0`, lane),
					fmt.Sprintf(`meddela_audit_waiting{lane="%s"} 0`, lane),
					fmt.Sprintf(`meddela_audit_offsets_total{is="marker",lane="%s"} 2`, lane),
					fmt.Sprintf(`meddela_audit_offsets_total{is="aborted",lane="%s"} 1`, lane)))
			})
		}
	})
}
