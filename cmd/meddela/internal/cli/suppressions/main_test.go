package suppressions

import (
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// meddela runs one command line with exactly these MEDDELA_ variables.
var meddela = clitest.Commands{New, cluster.NewTopics, cluster.NewCheck}.Run

const aPepper = "the pepper of a test, which is long enough"

// site is a Kafka with its topics, a Redis and a pepper.
func site(t *testing.T) map[string]string {
	t.Helper()
	environment := map[string]string{
		"MEDDELA_REDIS_ADDRS":       clitest.StartRedis(t, nil).Addr(),
		"MEDDELA_KAFKA_BROKERS":     clitest.StartKafka(t).ListenAddrs()[0],
		"MEDDELA_TOPICS_PARTITIONS": "1", "MEDDELA_TOPICS_REPLICATION": "1",
		"MEDDELA_SUPPRESS_PEPPER": aPepper,
	}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	return environment
}
