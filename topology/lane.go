package topology

import "fmt"

// Lane is one of the two isolated ways through the pipeline. A lane has its
// own topics, consumer groups and processes, so that a flood on one cannot be
// felt on the other.
type Lane string

const (
	Realtime Lane = "realtime"
	Batch    Lane = "batch"
)

// Lanes lists every lane, the urgent one first.
func Lanes() []Lane { return []Lane{Realtime, Batch} }

// ParseLane reads a lane's name.
func ParseLane(s string) (Lane, error) {
	switch Lane(s) {
	case Realtime, Batch:
		return Lane(s), nil
	}
	return "", fmt.Errorf("unknown lane %q: use %q or %q", s, Realtime, Batch)
}
