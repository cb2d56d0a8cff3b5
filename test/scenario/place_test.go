package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// place is a Kafka and a Redis, with the clients that scenarios use there.
type place struct {
	name     string
	brokers  []string
	redis    string
	upstream upstream
	reader   reader
	// outages make the servers fail; nil where they must not be.
	outages outages
}

// upstream publishes as other systems do. It returns when every record is
// acknowledged, and tries on while servers are away.
type upstream interface {
	publish(topic string, records []record) error
}

// record is what an upstream system publishes.
type record struct {
	key       string
	value     []byte   // nil is null
	headers   []string // name=value
	partition int      // anyPartition: by key
}

const anyPartition = -1

// reader reads the public hashes as other systems do.
type reader interface {
	// hashes returns the hash at each key; an absent one is empty.
	hashes(keys []string) ([]map[string]string, error)
	// keys lists the keys that start with prefix.
	keys(prefix string) ([]string, error)
	// remove deletes keys.
	remove(keys []string) error
}

// outages take one server away, as a crash would, and bring it back.
type outages interface {
	killStore() error
	startStore() error
	killBroker() error
	startBroker() error
}

// scenario is a test on one place.
type scenario func(t *testing.T, s *site)

// everywhere runs a scenario on the embedded servers and on the real ones, at
// the same time as other scenarios: most of the time they wait.
func everywhere(t *testing.T, run scenario) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		run(t, newSite(t, embeddedPlace(t)))
	})
	if real != nil {
		t.Run(real.name, func(t *testing.T) {
			t.Parallel()
			run(t, newSite(t, real))
		})
	}
}

// onlyReal is everywhere for a scenario of clients that come with real servers.
func onlyReal(t *testing.T, run scenario) {
	t.Parallel()
	if real != nil {
		t.Run(real.name, func(t *testing.T) {
			t.Parallel()
			run(t, newSite(t, real))
		})
	}
}

// alone is everywhere for a scenario that others would disturb.
func alone(t *testing.T, run scenario) {
	t.Run("embedded", func(t *testing.T) { run(t, newSite(t, embeddedPlace(t))) })
	if real != nil {
		t.Run(real.name, func(t *testing.T) { run(t, newSite(t, real)) })
	}
}

// breaking is alone for a scenario that takes servers away: on real servers
// where they can be.
func breaking(t *testing.T, run scenario) {
	t.Run("embedded", func(t *testing.T) { run(t, newSite(t, embeddedPlace(t))) })
	if real != nil && real.outages != nil {
		t.Run(real.name, func(t *testing.T) { run(t, newSite(t, real)) })
	}
}

// real are the real servers; nil where none are configured.
var real *place

// findRealServers reads what test/run says about them.
func findRealServers() error {
	kafka, redis := os.Getenv("MEDDELA_TEST_KAFKA"), os.Getenv("MEDDELA_TEST_REDIS")
	switch {
	case kafka != "" && redis != "":
		real = &place{
			name:     "real",
			brokers:  strings.Split(kafka, ","),
			redis:    redis,
			upstream: kcat{brokers: kafka},
			reader:   redisCLI{addr: redis},
			outages:  killableServers(),
		}
	case os.Getenv("MEDDELA_TEST_SERVERS") == "required":
		return fmt.Errorf("the real servers are required, and MEDDELA_TEST_KAFKA or MEDDELA_TEST_REDIS is not set: use test/run")
	}
	return nil
}

// serverScripts are outages by way of test/servers.
type serverScripts struct{}

// killableServers returns nil unless the servers outlive a kill with their
// data: three brokers, and a Redis that writes to disk.
func killableServers() outages {
	dir := os.Getenv("SERVERS_DIR")
	if dir == "" {
		dir = filepath.Join(root, ".servers")
	}
	shape, err := os.ReadFile(filepath.Join(dir, "shape"))
	if err != nil {
		return nil
	}
	lines := "\n" + string(shape)
	for _, needed := range []string{"\nBROKERS=3\n", "\nREDIS_MODE=single\n", "\nREDIS_APPENDONLY=1\n"} {
		if !strings.Contains(lines, needed) {
			return nil
		}
	}
	return serverScripts{}
}

func (serverScripts) killStore() error   { return serverScript("kill", "redis") }
func (serverScripts) startStore() error  { return serverScript("start", "redis") }
func (serverScripts) killBroker() error  { return serverScript("kill", "kafka-2") }
func (serverScripts) startBroker() error { return serverScript("start", "kafka-2") }

// serverScript runs a command of test/servers.
func serverScript(name string, args ...string) error {
	out, err := exec.Command(filepath.Join(root, "test", "servers", name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("test/servers/%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
