package bench

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is where something was measured, and how busy it was.
type Machine struct {
	At   time.Time `json:"at"`
	CPUs int       `json:"cpus"`
	Go   string    `json:"go"`
	// LoadBefore and LoadAfter are the averages over 1, 5 and 15 minutes
	// of how many threads wanted a CPU.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

// LookAtMachine says where and when something is going to be measured.
func LookAtMachine() Machine {
	return Machine{
		At: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(),
		Go: runtime.Version(), LoadBefore: load(),
	}
}

// Done notes how busy the machine was in the end.
func (m *Machine) Done() { m.LoadAfter = load() }

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
