package up

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
	"github.com/meddela/meddela/topology"
)

func TestDemo(t *testing.T) {
	testenv.OnlyThese(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	env := &command.Env{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	if status := env.Execute(ctx, []string{"demo", "--for", "1s", "--rate", "300"},
		commands()...); status != command.ExitOK {
		t.Fatalf("exit status %d\n%s%s", status, out.String(), errOut.String())
	}
	for _, s := range topology.Statuses() {
		if strings.Contains(out.String(), fmt.Sprintf(" %s 0", s)) {
			t.Errorf("no event was ever %s", s)
		}
	}
	for _, want := range []string{"all ", "accounted for", "HGETALL meddela:event:", "The message that was sent",
		"Subject: ", os.Args[0] + ` status"`, os.Args[0] + ` up"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, out.String())
		}
	}
}

// TestUp follows what the greeting tells a newcomer to do, with a provider of one's own: its message is real, and no
// copy of its event makes another for as long as claims are kept.
func TestUp(t *testing.T) {
	accepted := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		accepted <- string(body)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "providers.yaml")
	providers := fmt.Sprintf("providers:\n- {name: mine, channels: [email], kind: http, "+
		"http: {url: %q, allow_private: true, body: '{\"id\":{{ json .EventID }}}'}}\n", server.URL)
	if err := os.WriteFile(file, []byte(providers), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.OnlyThese(t, map[string]string{"MEDDELA_PROVIDERS_FILE": file})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := clitest.NewTail()
	env := &command.Env{In: strings.NewReader(""), Out: out, ErrOut: io.Discard}
	done := make(chan int, 1)
	go func() {
		done <- env.Execute(ctx, []string{"up", "--kafka-port", "0", "--redis-port", "0"}, commands()...)
	}()
	greeting := out.Await(t, "MEDDELA_SANDBOX_FILE")
	kafka, store := clitest.Word(t, greeting, "Kafka protocol"), clitest.Word(t, greeting, "Redis protocol")
	for _, want := range []string{" publish --lane realtime --kafka-brokers " + kafka,
		" status hello-1 --redis-addrs " + store} {
		if !strings.Contains(greeting, os.Args[0]+want+"\n") { // as it was called, and can be copied
			t.Errorf("the greeting lacks %q:\n%s", want, greeting)
		}
	}
	event := `{"id":"hello-1","type":"order_confirmation","email":"kim@example.com","language":"sv","ctx":` +
		`{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"SEK"}}}`
	other := &command.Env{In: strings.NewReader(event + "\n"), Out: io.Discard, ErrOut: io.Discard,
		ReachTimeout: 5 * time.Second}
	if status := other.Execute(ctx, []string{"publish", "--lane", "realtime", "--kafka-brokers", kafka},
		commands()...); status != command.ExitOK {
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
	if got := <-accepted; got != `{"id":"hello-1"}` || len(accepted) > 0 {
		t.Errorf("the provider was handed %s, and %d more", got, len(accepted))
	}
	claim := topology.Keys{Prefix: topology.DefaultKeyPrefix}.Claim(topology.JobIDOf("hello-1", 0))
	if left := client.TTL(ctx, claim).Val(); left < 7*24*time.Hour {
		t.Errorf("the claim ends in %v", left)
	}
	stop()
	if status := <-done; status != command.ExitOK {
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
		r.Want(t, command.ExitFailed)
		if !strings.Contains(r.Err, "127.0.0.1:"+port) || !strings.Contains(r.Err, "choose another with "+flag) {
			t.Errorf("%s: the error is %q", flag, r.Err)
		}
	}
}
