package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
	"github.com/meddela/meddela/topology"
)

func TestBench(t *testing.T) {
	testenv.OnlyThese(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := clitest.NewTail()
	up := &command.Env{In: strings.NewReader(""), Out: out, ErrOut: io.Discard}
	ended := make(chan int, 1)
	go func() {
		ended <- up.Execute(ctx, []string{"up", "--kafka-port", "0", "--redis-port", "0"}, commands()...)
	}()
	greeting := out.Await(t, "MEDDELA_SANDBOX_FILE")
	kafka, store := clitest.Word(t, greeting, "Kafka protocol"), clitest.Word(t, greeting, "Redis protocol")
	bench := func(flags ...string) (exit int, stdout, stderr string) {
		var out, errOut bytes.Buffer
		env := &command.Env{In: strings.NewReader(""), Out: &out, ErrOut: &errOut, ReachTimeout: 5 * time.Second}
		args := []string{"bench", "--lane", "realtime", "--kafka-brokers", kafka, "--redis-addrs", store}
		exit = env.Execute(ctx, append(args, flags...), commands()...)
		return exit, out.String(), errOut.String()
	}
	client := redis.NewClient(&redis.Options{Addr: store})
	defer func() { _ = client.Close() }()

	if exit, _, stderr := bench(); exit != command.ExitMisused || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes: exit status %d, %s", exit, stderr)
	}
	if events := client.Keys(ctx, "meddela:event:*").Val(); len(events) > 0 {
		t.Errorf("without --yes it has published %v", events)
	}
	if exit, _, stderr := bench("--type", "unheard_of", "--yes"); exit != command.ExitMisused ||
		!strings.Contains(stderr, "--event") {
		t.Errorf("of an unknown type: exit status %d, %s", exit, stderr)
	}

	exit, stdout, stderr := bench("--events", "40", "--rate", "0", "--yes", "-o", "json")
	var r benchResult
	if err := json.Unmarshal([]byte(stdout), &r); exit != command.ExitOK || err != nil {
		t.Fatalf("exit status %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	if r.Published != 40 || r.Statuses[topology.Sent] != 40 || r.Waiting != 0 || r.Final <= 0 || r.Latency["p50"] <= 0 {
		t.Errorf("%+v", r)
	}
	if ours := client.Keys(ctx, "meddela:event:"+r.Run+"-*").Val(); len(ours) != 40 ||
		!strings.HasPrefix(r.Run, benchPrefix) {
		t.Errorf("%d events have ids that start with %q", len(ours), r.Run)
	}
	if exit, stdout, _ := bench("--events", "5", "--rate", "500", "--yes"); exit != command.ExitOK ||
		!strings.Contains(stdout, "pending → sent") {
		t.Errorf("as a table: exit status %d\n%s", exit, stdout)
	}

	t.Setenv("MEDDELA_KEY_PREFIX", "elsewhere:")
	if exit, _, stderr := bench("--events", "1", "--timeout", "2s", "--yes"); exit != command.ExitFailed ||
		!strings.Contains(stderr, "role status") {
		t.Errorf("where nobody writes statuses: exit status %d, %s", exit, stderr)
	}
	stop()
	<-ended
}
