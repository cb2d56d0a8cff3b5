// Command meddela is a message centre on Kafka and Redis: it links the events
// that upstream systems publish to message templates, delivers the messages,
// and keeps every event's status.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	os.Exit(runUntilSignal())
}

// runUntilSignal asks the command to stop at the first signal; a second one
// ends the process at once.
func runUntilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{in: os.Stdin, out: os.Stdout, errOut: os.Stderr, reachTimeout: 5 * time.Second}
	return a.execute(ctx, os.Args[1:])
}
