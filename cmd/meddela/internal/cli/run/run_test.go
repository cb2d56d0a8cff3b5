package run

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// TestARoleThatCannotReadItsTemplatesStops with an error that says what to do.
func TestARoleThatCannotReadItsTemplatesStops(t *testing.T) {
	broker := clitest.StartKafka(t).ListenAddrs()[0]
	got := meddela(t, map[string]string{
		"MEDDELA_KAFKA_BROKERS": broker, "MEDDELA_TEMPLATES_START_TIMEOUT": "1s", "MEDDELA_LOG_LEVEL": "error",
	}, "", "run", "match", "--lane", "realtime")
	got.Want(t, command.ExitFailed)
	if want := "the topic meddela.templates does not exist: create it with `meddela topics apply`"; !strings.Contains(got.Err, want) {
		t.Errorf("it says %s", got.Err)
	}
}
