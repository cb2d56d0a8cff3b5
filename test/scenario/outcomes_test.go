package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// recipientDomain ends every recipient's address.
const recipientDomain = "example.test"

// hash returns an event's public hash; empty for an unknown event.
func (s *site) hash(id string) map[string]string {
	s.t.Helper()
	hashes, err := s.reader.hashes([]string{s.redisKeys.Event(topology.EventID(id))})
	if err != nil {
		s.t.Fatal(err)
	}
	return hashes[0]
}

// word is an outcome as scenarios write it: status, or status/reason. A wanted
// one may name two, with | between.
func word(hash map[string]string) string {
	if reason := hash[topology.FieldReason]; reason != "" {
		return hash[topology.FieldStatus] + "/" + reason
	}
	return hash[topology.FieldStatus]
}

// asked is how many hashes are asked for at once.
const asked = 1000

// outcomesOf returns the outcomes that events have now.
func (s *site) outcomesOf(ids []string) (map[string]string, error) {
	outcomes := make(map[string]string, len(ids))
	for some := range slices.Chunk(ids, asked) {
		keys := make([]string, len(some))
		for i, id := range some {
			keys[i] = s.redisKeys.Event(topology.EventID(id))
		}
		hashes, err := s.reader.hashes(keys)
		if err != nil {
			return nil, err
		}
		for i, id := range some {
			outcomes[id] = word(hashes[i])
		}
	}
	return outcomes, nil
}

// differing returns those of the events whose outcome is not the wanted one,
// and an error that describes some of them.
func (s *site) differing(ids []string, want map[string]string) ([]string, error) {
	outcomes, err := s.outcomesOf(ids)
	if err != nil {
		return ids, err
	}
	const shown = 20
	var differ []string
	var text strings.Builder
	for _, id := range ids {
		if slices.Contains(strings.Split(want[id], "|"), outcomes[id]) {
			continue
		}
		if differ = append(differ, id); len(differ) <= shown {
			fmt.Fprintf(&text, "\n\t%s is %q, not %q", id, outcomes[id], want[id])
		}
	}
	if len(differ) == 0 {
		return nil, nil
	}
	return differ, fmt.Errorf("of %d events, %d differ:%s", len(want), len(differ), text.String())
}

// awaitOutcomes waits until every event has had its wanted outcome.
func (s *site) awaitOutcomes(within time.Duration, want map[string]string) {
	s.t.Helper()
	left := slices.Sorted(maps.Keys(want))
	s.eventually(within, "every event has its status", func() (err error) {
		left, err = s.differing(left, want)
		return err
	})
}

// checkStatuses checks, when nothing moves any more, that exactly these events
// have a status, and each the wanted one.
func (s *site) checkStatuses(want map[string]string) {
	s.t.Helper()
	if _, err := s.differing(slices.Sorted(maps.Keys(want)), want); err != nil {
		s.t.Error(err)
	}
	s.checkNoOthers(want)
}

// checkNoOthers checks that exactly these events have a status.
func (s *site) checkNoOthers(want map[string]string) {
	s.t.Helper()
	prefix := s.redisKeys.Event("")
	keys, err := s.reader.keys(prefix)
	if err != nil {
		s.t.Fatal(err)
	}
	others := 0
	for _, key := range keys {
		if _, ok := want[strings.TrimPrefix(key, prefix)]; !ok {
			others++
			s.t.Errorf("there is a status of %s too: %q", key, word(s.hash(strings.TrimPrefix(key, prefix))))
		}
	}
	if got := len(keys) - others; got != len(want) {
		s.t.Errorf("%d events have a status, want %d", got, len(want))
	}
}

// acceptance is a message that the sandbox provider has accepted.
type acceptance struct {
	JobID    string    `json:"job_id"`
	EventID  string    `json:"event_id"`
	Lane     string    `json:"lane"`
	Attempt  int       `json:"attempt"`
	Template string    `json:"template"`
	Channel  string    `json:"channel"`
	To       string    `json:"to"`
	Language string    `json:"language"`
	Subject  string    `json:"subject"`
	Text     string    `json:"text"`
	At       time.Time `json:"at"`
	process  string
}

const acceptancesSuffix = ".accepted.jsonl"

// acceptances returns what was accepted until now, over all processes and
// crashes, by event.
func (s *site) acceptances() map[string][]acceptance {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*"+acceptancesSuffix))
	if err != nil {
		s.t.Fatal(err)
	}
	all := make(map[string][]acceptance)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		process := strings.TrimSuffix(filepath.Base(file), acceptancesSuffix)
		for line := range bytes.Lines(text) {
			a := acceptance{process: process}
			if line[len(line)-1] != '\n' {
				continue // being written, or cut off by a crash
			}
			if err := json.Unmarshal(line, &a); err != nil {
				s.t.Fatalf("%s: %v", file, err)
			}
			all[a.EventID] = append(all[a.EventID], a)
		}
	}
	return all
}

// checkAcceptedOnce checks that exactly the events that are sent were accepted,
// each once.
func (s *site) checkAcceptedOnce(want map[string]string) {
	s.t.Helper()
	all := s.acceptances()
	for id, outcome := range want {
		times := 0
		if outcome == "sent" {
			times = 1
		}
		if len(all[id]) != times {
			s.t.Errorf("%s, which is %s, was accepted %d times: %v", id, outcome, len(all[id]), all[id])
		}
	}
	for id := range all {
		if _, ok := want[id]; !ok {
			s.t.Errorf("%s was accepted, and is unknown", id)
		}
	}
}

// checkAddresses checks that no recipient's address is in what others may read.
func (s *site) checkAddresses() {
	keys, err := s.reader.keys(s.redisKeys.Event(""))
	if err != nil {
		s.t.Error(err)
		return
	}
	hashes, err := s.reader.hashes(keys)
	if err != nil {
		s.t.Error(err)
		return
	}
	for i, hash := range hashes {
		for field, value := range hash {
			if strings.Contains(value, recipientDomain) {
				s.t.Errorf("%s of %s has a recipient's address", field, keys[i])
			}
		}
	}
}
