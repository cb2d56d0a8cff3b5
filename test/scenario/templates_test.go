package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// inForce is how long after a command has returned every consumer acts on it.
const inForce = time.Second

// TestTheLifeOfATemplate: events that come before it are not covered, and are
// healed; it is published, changed, rolled back and retired while the roles run.
func TestTheLifeOfATemplate(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.startRoles(lane)
		want := map[string]string{}
		tell := func(id, tier, outcome string) {
			s.publish(lane, loyalty(id, tier))
			want[id] = outcome
		}

		tell("early-gold", "gold", "not_covered/no_template_for_type")
		tell("early-silver", "silver", "not_covered/no_template_for_type")
		s.awaitOutcomes(20*time.Second, want)

		folder := s.writeTemplate("Welcome to gold")
		s.run("templates", "lint", folder)
		s.run("templates", "publish", folder)
		time.Sleep(inForce)
		tell("gold", "gold", "sent")
		tell("silver", "silver", "not_covered/conditions_false")
		s.publish(lane, event("bare", `{"id":"bare","type":"loyalty","email":"kim@mail.%s","ctx":{}}`, recipientDomain))
		want["bare"] = "not_covered/condition_failed"
		s.awaitOutcomes(20*time.Second, want)

		var list struct{ Events int }
		s.json(&list, "uncovered", "list", "--lane", string(lane))
		if list.Events != 4 {
			t.Errorf("%d events are listed as not covered; want 4", list.Events)
		}
		var healed struct {
			Published int
			Lanes     []struct{ Refused map[string]int }
		}
		s.json(&healed, "uncovered", "heal", "--lane", string(lane), "--dry-run")
		if healed.Published != 1 || len(healed.Lanes) != 1 || healed.Lanes[0].Refused["conditions_false"] != 2 ||
			healed.Lanes[0].Refused["condition_failed"] != 1 {
			t.Errorf("would be healed: %+v", healed)
		}
		s.run("uncovered", "heal", "--lane", string(lane), "--yes")
		s.run("uncovered", "heal", "--lane", string(lane), "--yes")
		want["early-gold"] = "sent"
		s.awaitOutcomes(20*time.Second, want)
		if hash := s.hash("early-gold"); hash[topology.FieldRedrives] != "1" {
			t.Errorf("the healed event was redriven %q times", hash[topology.FieldRedrives])
		}

		s.run("templates", "publish", s.writeTemplate("Gold has come to you"))
		time.Sleep(inForce)
		soon := time.Now().Add(6 * time.Second).UTC().Truncate(time.Millisecond)
		s.publish(lane, event("scheduled",
			`{"id":"scheduled","type":"loyalty","email":"kim@mail.%s","scheduled":%q,"ctx":{"tier":"gold"}}`,
			recipientDomain, soon.Format(topology.TimeFormat)))
		tell("changed", "gold", "sent")
		want["scheduled"] = "pending_delivery/scheduled|sent"
		s.awaitOutcomes(20*time.Second, want)

		s.run("templates", "rollback", "loyalty")
		time.Sleep(inForce)
		tell("back", "gold", "sent")
		s.awaitOutcomes(20*time.Second, want)

		s.run("templates", "retire", "loyalty")
		time.Sleep(inForce)
		tell("retired", "gold", "not_covered/no_template_for_type")
		want["scheduled"] = "sent" // as it was matched, though that version is retired
		s.awaitOutcomes(30*time.Second, want)
		s.awaitQuiet(lane)

		s.checkAcceptedOnce(want)
		all := s.acceptances()
		for id, text := range map[string]string{
			"gold": "Welcome to gold", "early-gold": "Welcome to gold", "changed": "Gold has come to you",
			"back": "Welcome to gold", "scheduled": "Gold has come to you",
		} {
			if !strings.Contains(all[id][0].Text, text) {
				t.Errorf("%s was told %q; want %q", id, all[id][0].Text, text)
			}
		}
	})
}

// loyalty is an event that a template of writeTemplate may cover.
func loyalty(id, tier string) record {
	return event(id, `{"id":%q,"type":"loyalty","email":"kim@mail.%s","ctx":{"tier":%q}}`, id, recipientDomain, tier)
}

// writeTemplate writes a folder with one template, which is for gold only.
func (s *site) writeTemplate(text string) string {
	s.t.Helper()
	folder := filepath.Join(s.dir, "templates")
	for name, content := range map[string]string{
		"template.yaml":    "types: [loyalty]\nchannel: email\nwhen: ctx.tier == \"gold\"\n",
		"en/email.subject": "Your new tier",
		"en/email.txt":     text + ", {{.ctx.tier}}!\n",
		"samples/gold.json": fmt.Sprintf(`{"id":"sample-1","type":"loyalty","email":"kim@mail.%s","ctx":{"tier":"gold"}}`,
			recipientDomain),
	} {
		path := filepath.Join(folder, "loyalty", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return folder
}

// json runs a command that prints JSON, and reads that.
func (s *site) json(into any, args ...string) {
	s.t.Helper()
	out := s.run(append(args, "--output", "json")...)
	if err := json.Unmarshal(out, into); err != nil {
		s.t.Fatalf("meddela %s prints %q: %v", strings.Join(args, " "), out, err)
	}
}
