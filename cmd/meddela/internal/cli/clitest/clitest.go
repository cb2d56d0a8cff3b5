// Package clitest runs command lines in tests.
package clitest

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Result is what a command line came to.
type Result struct {
	Status   int
	Out, Err string
}

// Want ends the test unless the exit status is the wanted one.
func (r Result) Want(t *testing.T, status int) {
	t.Helper()
	if r.Status != status {
		t.Fatalf("exit status %d, want %d\nout: %s\nerr: %s", r.Status, status, r.Out, r.Err)
	}
}

var testdata, _ = filepath.Abs("testdata")

// Golden compares got with a file in testdata.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(testdata, name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", path, difference(got, string(want)))
	}
}

// difference is what differs, by lines: what is wanted after a minus, what there is after a plus.
func difference(got, want string) string {
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for len(g) > 0 && len(w) > 0 && g[0] == w[0] {
		g, w = g[1:], w[1:]
	}
	for len(g) > 0 && len(w) > 0 && g[len(g)-1] == w[len(w)-1] {
		g, w = g[:len(g)-1], w[:len(w)-1]
	}
	var b strings.Builder
	for _, line := range w {
		b.WriteString("-" + line)
	}
	for _, line := range g {
		b.WriteString("+" + line)
	}
	return b.String()
}

// StartKafka starts a broker of the Kafka protocol for the time of the test.
func StartKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// StartRedis starts a store of the Redis protocol for the time of the test, with TLS
// unless serverTLS is nil.
func StartRedis(t *testing.T, serverTLS *tls.Config) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.NewMiniRedis()
	start := server.Start
	if serverTLS != nil {
		start = func() error { return server.StartTLS(serverTLS) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// Nowhere is an address at which nothing listens.
const Nowhere = "127.0.0.1:1"

var columnGap = regexp.MustCompile(" {2,}")

// Says wants exit status 0 and these pieces in the output, where two spaces
// stand for any gap between columns.
func (r Result) Says(t *testing.T, pieces ...string) {
	t.Helper()
	r.Want(t, command.ExitOK)
	out := columnGap.ReplaceAllString(r.Out, "  ")
	for _, piece := range pieces {
		if !strings.Contains(out, piece) {
			t.Errorf("it does not say %q:\n%s", piece, r.Out)
		}
	}
}

// WantOut wants exit status 0 and exactly this output.
func (r Result) WantOut(t *testing.T, out string) {
	t.Helper()
	r.Want(t, command.ExitOK)
	if r.Out != out {
		t.Errorf("prints %q; want %q", r.Out, out)
	}
}

// Commands are those that a test needs.
type Commands []func(*command.Env) *cobra.Command

// Run runs one command line with exactly these MEDDELA_ variables.
func (c Commands) Run(t *testing.T, environment map[string]string, input string, args ...string) Result {
	t.Helper()
	testenv.OnlyThese(t, environment)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errOut bytes.Buffer
	env := &command.Env{In: strings.NewReader(input), Out: &out, ErrOut: &errOut, ReachTimeout: 2 * time.Second,
		Version: "dev"}
	status := env.Execute(ctx, args, c...)
	return Result{status, out.String(), errOut.String()}
}

// Word is the word behind a label.
func Word(t *testing.T, text, label string) string {
	t.Helper()
	_, rest, _ := strings.Cut(text, label)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("nothing behind %q in:\n%s", label, text)
	}
	return fields[0]
}

// Tail is output that is waited for.
type Tail struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

// NewTail returns a Tail without output.
func NewTail() *Tail { return &Tail{more: make(chan struct{}, 1)} }

func (o *Tail) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

// Await returns the output once it has the wanted text.
func (o *Tail) Await(t *testing.T, want string) string {
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
