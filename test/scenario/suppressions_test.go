package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestSuppressionsAreLost has Redis lose what it knows of suppressed addresses in
// mid-stream: none of them is written to, and the others are as soon as all is known
// again. MEDDELA_TEST_SUPPRESSIONS is how many there are.
func TestSuppressionsAreLost(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		many, err := strconv.Atoi(os.Getenv("MEDDELA_TEST_SUPPRESSIONS"))
		if err != nil {
			many = 3000
		}
		var file strings.Builder
		file.WriteString("email\nkim@left." + recipientDomain + "\n")
		for i := range many - 1 {
			fmt.Fprintf(&file, "kim%d@left.%s\n", i, recipientDomain)
		}
		path := filepath.Join(s.dir, "left.csv")
		if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_SUPPRESS_PEPPER=" + aPepper}
		s.startRoles(lane)
		t.Logf("%s", s.run("suppressions", "import", path, "--reason", "unsubscribed"))

		label := map[bool]string{true: "left", false: "mail"}
		outcome := map[bool]string{true: "ignored/suppressed", false: "sent"}
		events := s.stream(lane, func(i int) (record, string) {
			left := i%2 == 0
			return order(fmt.Sprintf("order-%d", i), label[left]), outcome[left]
		})
		events.awaitPublished(5 * perTick())
		s.awaitOutcomes(20*time.Second, events.published())

		keys, err := s.reader.keys(s.redisKeys.Prefix + "suppressions:")
		if err != nil || len(keys) != topology.SuppressionBuckets {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		if err := s.reader.remove(keys); err != nil {
			t.Fatal(err)
		}
		lost := time.Now()
		s.publish(lane, order("after", "mail"))
		s.awaitOutcomes(5*time.Minute, map[string]string{"after": "sent"})
		t.Logf("with %d suppressed addresses, messages went out again %v after all were lost", many,
			time.Since(lost).Round(time.Millisecond))

		events.awaitPublished(5 * perTick())
		want := events.end()
		want["after"] = "sent"
		s.awaitOutcomes(60*time.Second, want)
		s.awaitQuiet(lane)
		s.checkStatuses(want)
		s.checkAcceptedOnce(want)
		if all := s.run("check"); !strings.Contains(string(all), "Redis's copy of the topic is complete") {
			t.Errorf("check says\n%s", all)
		}
	})
}
