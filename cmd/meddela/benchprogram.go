package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/bench"
	"github.com/meddela/meddela/topology"
)

// program starts this program anew with the same configuration, but on other
// topics and keys, and so that nothing is really sent.
func (a *app) program(names topology.Topics, keys topology.Keys, args ...string) *exec.Cmd {
	// The path of a running program is known.
	path, _ := os.Executable()
	command := exec.Command(path, args...)
	command.Env = append(os.Environ(),
		"MEDDELA_KAFKA_BROKERS="+strings.Join(a.config.Kafka.Brokers, ","),
		"MEDDELA_REDIS_ADDRS="+strings.Join(a.config.Redis.Addrs, ","),
		"MEDDELA_TOPIC_PREFIX="+names.Prefix,
		"MEDDELA_KEY_PREFIX="+keys.Prefix,
		"MEDDELA_DELIVER_EMAIL=sandbox",
		"MEDDELA_SANDBOX_LATENCY=0s",
		"MEDDELA_SANDBOX_FAIL_RATE=0",
		"MEDDELA_SANDBOX_DIR=",
		"MEDDELA_SANDBOX_FILE=",
		"MEDDELA_LOG_LEVEL=warn",
		"MEDDELA_LOG_FORMAT=json",
	)
	return command
}

// runHop runs a step of the floor until ctx ends.
func (a *app) runHop(ctx context.Context, hop bench.Hop, size int) error {
	limitMemory()
	in, err := a.installation(ctx)
	if err != nil {
		return err
	}
	client, err := a.redis(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	spec, err := bench.HopLoop(hop, size, in.names, in.keys, client)
	if err != nil {
		return misusef("%v", err)
	}
	spec.Transport = in.kafka.Transport()
	defer spec.Transport.CloseIdleConnections()
	return in.benchLoop(spec).Run(ctx)
}

// profiled does something and, if a file is named, writes a CPU profile of it.
func profiled(path string, do func() error) error {
	if path == "" {
		return do()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return do()
}
