package scenario

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestJavaProducer publishes with Kafka's own console producer, plain events
// and CloudEvents, on the real servers.
func TestJavaProducer(t *testing.T) {
	onlyReal(t, javaProducer)
}

func javaProducer(t *testing.T, s *site) {
	const lane = topology.Batch
	s.startRoles(lane)
	plain := order("java-plain", "mail")
	lines := fmt.Sprintf("traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\t%s\t%s\n", plain.key,
		plain.value) +
		"ce_specversion:1.0,ce_id:java-event,ce_type:password_reset,ce_source:/accounts\tjava-event\t" +
		`{"email":"kim@mail.` + recipientDomain + `","ctx":{"firstName":"Kim","link":"https://shop.test/r"}}` + "\n"
	producer := exec.Command(filepath.Join(root, "test", "servers", "tool"), "console-producer",
		"--bootstrap-server", strings.Join(s.brokers, ","), "--topic", string(s.topics.Events(lane)),
		"--property", "parse.headers=true", "--property", "parse.key=true")
	producer.Stdin = strings.NewReader(lines)
	if out, err := producer.CombinedOutput(); err != nil {
		t.Fatalf("console-producer: %v\n%s", err, out)
	}
	want := map[string]string{"java-plain": "sent", "/accounts#java-event": "sent"}
	s.awaitOutcomes(20*time.Second, want)
	s.awaitQuiet(lane)
	s.checkStatuses(want)
	s.checkAcceptedOnce(want)
}
