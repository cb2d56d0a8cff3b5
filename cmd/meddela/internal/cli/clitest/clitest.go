// Package clitest runs command lines in tests.
package clitest

import (
	"crypto/tls"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
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
		t.Errorf("differs from %s (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
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
