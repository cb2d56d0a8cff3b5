package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

func TestDemo(t *testing.T) {
	onlyThese(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, errOut: &errOut}
	if status := a.execute(ctx, []string{"demo", "--for", "1s", "--rate", "300"}); status != exitOK {
		t.Fatalf("exit status %d\n%s%s", status, out.String(), errOut.String())
	}
	for _, s := range topology.Statuses() {
		if strings.Contains(out.String(), fmt.Sprintf(" %s 0", s)) {
			t.Errorf("no event was ever %s", s)
		}
	}
	for _, want := range []string{"all ", "accounted for", "HGETALL meddela:event:", "The message that was sent", "Subject: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, out.String())
		}
	}
}

// TestUp follows what the greeting tells a newcomer to do.
func TestUp(t *testing.T) {
	onlyThese(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := newTail()
	a := &app{in: strings.NewReader(""), out: out, errOut: io.Discard}
	done := make(chan int, 1)
	go func() { done <- a.execute(ctx, []string{"up", "--kafka-port", "0", "--redis-port", "0"}) }()
	greeting := out.await(t, "MEDDELA_SANDBOX_FILE")
	kafka, store := word(t, greeting, "Kafka protocol"), word(t, greeting, "Redis protocol")

	event := `{"id":"hello-1","type":"order_confirmation","email":"kim@example.com","language":"sv","ctx":` +
		`{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"SEK"}}}`
	b := &app{in: strings.NewReader(event + "\n"), out: io.Discard, errOut: io.Discard, reachTimeout: 5 * time.Second}
	if status := b.execute(ctx, []string{"publish", "--lane", "realtime", "--kafka-brokers", kafka}); status != exitOK {
		t.Fatalf("publishing: exit status %d", status)
	}
	client := redis.NewClient(&redis.Options{Addr: store})
	defer func() { _ = client.Close() }()
	for client.HGet(ctx, "meddela:event:hello-1", "status").Val() != string(topology.Sent) {
		if ctx.Err() != nil {
			t.Fatalf("the event is %v", client.HGetAll(context.Background(), "meddela:event:hello-1").Val())
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if status := <-done; status != exitOK {
		t.Errorf("up: exit status %d", status)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, flag := range []string{"--kafka-port", "--redis-port"} {
		other := map[string]string{"--kafka-port": "--redis-port", "--redis-port": "--kafka-port"}[flag]
		r := meddela(t, nil, "", "up", flag, port, other, "0")
		r.want(t, exitFailed)
		if !strings.Contains(r.err, "127.0.0.1:"+port) || !strings.Contains(r.err, "choose another with "+flag) {
			t.Errorf("%s: the error is %q", flag, r.err)
		}
	}
}

// word is the word behind a label.
func word(t *testing.T, text, label string) string {
	t.Helper()
	_, rest, _ := strings.Cut(text, label)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("nothing behind %q in:\n%s", label, text)
	}
	return fields[0]
}

// tail is output that is waited for.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newTail() *tail { return &tail{more: make(chan struct{}, 1)} }

func (o *tail) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

// await returns the output once it has the wanted text.
func (o *tail) await(t *testing.T, want string) string {
	t.Helper()
	for {
		o.mu.Lock()
		text := o.text.String()
		o.mu.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-o.more:
		case <-t.Context().Done():
			t.Fatalf("the output never had %q:\n%s", want, text)
		}
	}
}
