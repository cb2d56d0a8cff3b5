// Command meddela is a message centre on Kafka and Redis: it links the events
// that upstream systems publish to message templates, delivers the messages,
// and keeps every event's status.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/meddela/meddela/cmd/meddela/internal/cli"
)

// version is set by the linker in a release.
var version = "dev"

func main() {
	os.Exit(runUntilSignal())
}

// runUntilSignal asks the command to stop at the first signal; a second one
// ends the process at once.
func runUntilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Main(ctx, version, os.Args[1:])
}
