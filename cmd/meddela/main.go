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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once
	os.Exit(cli.Main(ctx, version, os.Args[1:]))
}
