package cluster

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// TestLagWithoutRedis: where none is configured, as beside the monitor, it is not missed; one that is away is.
func TestLagWithoutRedis(t *testing.T) {
	environment := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0],
		"MEDDELA_TOPICS_PARTITIONS": "1", "MEDDELA_TOPICS_REPLICATION": "1"}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	for _, redis := range []string{"", "127.0.0.1:1"} {
		environment["MEDDELA_REDIS_ADDRS"] = redis
		got := meddela(t, environment, "", "lag")
		got.Says(t, "realtime  match")
		if missed := strings.Contains(got.Err, "it is not known whether providers fail"); missed != (redis != "") {
			t.Errorf("with Redis %q: %s", redis, got.Err)
		}
	}
}
