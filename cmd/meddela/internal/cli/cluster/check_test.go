package cluster

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// TestClaimsOutliveTopics: check says so where they do not.
func TestClaimsOutliveTopics(t *testing.T) {
	environment := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0],
		"MEDDELA_TOPICS_PARTITIONS": "1", "MEDDELA_REDIS_ADDRS": "127.0.0.1:1"}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	const wrong = "MEDDELA_CLAIM_TTL is "
	for ttl, want := range map[string]bool{"1h": true, "173h": true, "192h": false} {
		environment["MEDDELA_CLAIM_TTL"] = ttl
		got := meddela(t, environment, "", "check", "-o", "json")
		told := strings.Contains(got.Out, wrong+ttl)
		if told != want || strings.Contains(got.Out, "they outlive what the topics keep") == want {
			t.Errorf("with %s: %s", ttl, got.Out)
		}
	}
}
