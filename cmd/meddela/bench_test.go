package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

func TestBench(t *testing.T) {
	onlyThese(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := newTail()
	up := &app{in: strings.NewReader(""), out: out, errOut: io.Discard}
	ended := make(chan int, 1)
	go func() { ended <- up.execute(ctx, []string{"up", "--kafka-port", "0", "--redis-port", "0"}) }()
	greeting := out.await(t, "MEDDELA_SANDBOX_FILE")
	kafka, store := word(t, greeting, "Kafka protocol"), word(t, greeting, "Redis protocol")
	bench := func(flags ...string) (exit int, stdout, stderr string) {
		var out, errOut bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, errOut: &errOut, reachTimeout: 5 * time.Second}
		args := []string{"bench", "--lane", "realtime", "--kafka-brokers", kafka, "--redis-addrs", store}
		exit = a.execute(ctx, append(args, flags...))
		return exit, out.String(), errOut.String()
	}
	client := redis.NewClient(&redis.Options{Addr: store})
	defer func() { _ = client.Close() }()

	if exit, _, stderr := bench(); exit != exitMisused || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes: exit status %d, %s", exit, stderr)
	}
	if events := client.Keys(ctx, "meddela:event:*").Val(); len(events) > 0 {
		t.Errorf("without --yes it has published %v", events)
	}
	if exit, _, stderr := bench("--type", "unheard_of", "--yes"); exit != exitMisused || !strings.Contains(stderr, "--event") {
		t.Errorf("of an unknown type: exit status %d, %s", exit, stderr)
	}

	exit, stdout, stderr := bench("--events", "40", "--rate", "0", "--yes", "-o", "json")
	var r benchResult
	if err := json.Unmarshal([]byte(stdout), &r); exit != exitOK || err != nil {
		t.Fatalf("exit status %d, %v\n%s%s", exit, err, stdout, stderr)
	}
	if r.Published != 40 || r.Statuses[topology.Sent] != 40 || r.Waiting != 0 || r.Final <= 0 || r.Latency["p50"] <= 0 {
		t.Errorf("%+v", r)
	}
	if ours := client.Keys(ctx, "meddela:event:"+r.Run+"-*").Val(); len(ours) != 40 || !strings.HasPrefix(r.Run, benchPrefix) {
		t.Errorf("%d events have ids that start with %q", len(ours), r.Run)
	}
	if exit, stdout, _ := bench("--events", "5", "--rate", "500", "--yes"); exit != exitOK || !strings.Contains(stdout, "pending → sent") {
		t.Errorf("as a table: exit status %d\n%s", exit, stdout)
	}

	t.Setenv("MEDDELA_KEY_PREFIX", "elsewhere:")
	if exit, _, stderr := bench("--events", "1", "--timeout", "200ms", "--yes"); exit != exitFailed || !strings.Contains(stderr, "role status") {
		t.Errorf("where nobody writes statuses: exit status %d, %s", exit, stderr)
	}
	stop()
	<-ended
}
