package roles

import (
	"os"
	"runtime/debug"
)

// memoryLimit is what the runtime keeps a role below, garbage included. What a
// role holds at once is bounded by its fetches, far below this.
const memoryLimit = 64 << 20

// garbagePercent is how much garbage there may be beside what is in use, as
// long as both fit in memoryLimit. A role holds little and makes much, so that
// with Go's own 100 it would collect many times a second.
const garbagePercent = 400

// LimitMemory has the garbage collector work harder rather than take more
// memory, and not before it must, unless GOMEMLIMIT or GOGC say otherwise.
func LimitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
