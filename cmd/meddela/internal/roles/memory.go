package roles

import (
	"os"
	"runtime/debug"
)

const (
	// atRest is what the runtime may take for a role beside what is in flight.
	atRest = 48 << 20
	// perByteInFlight is what a byte in flight may take: itself, what is made of it,
	// and garbage.
	perByteInFlight = 4
	// garbagePercent is how much garbage there may be beside what is in use, as
	// long as both fit in the limit. A role holds little and makes much, so that
	// with Go's own 100 it would collect many times a second.
	garbagePercent = 400
)

// LimitMemory has the garbage collector keep to what a role with so many bytes in
// flight needs, unless GOMEMLIMIT or GOGC say otherwise.
func LimitMemory(inFlight int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(atRest + perByteInFlight*int64(inFlight))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}
