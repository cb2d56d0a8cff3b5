package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The kernel counts CPU time in ticks of this length.
const cpuTick = 10 * time.Millisecond

// cpuTime is how much CPU time a process has used, where the system has a
// /proc; 0 elsewhere.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const user, system = 11, 12 // counted from after the name
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	return time.Duration(u+s) * cpuTick
}

// memory is what a process holds in memory now, and at most so far, in bytes;
// 0 where the system has no /proc.
func memory(pid int) (now, most int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	return kilobytes(string(status), "VmRSS:"), kilobytes(string(status), "VmHWM:")
}

func kilobytes(status, name string) int64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// cpuMeter tells how much CPU time processes use from its start on.
type cpuMeter struct {
	pids    map[string]int
	before  map[string]time.Duration
	started time.Time
}

func startMeter(pids map[string]int) *cpuMeter {
	m := &cpuMeter{pids: pids, before: make(map[string]time.Duration), started: time.Now()}
	for name, pid := range pids {
		m.before[name] = cpuTime(pid)
	}
	return m
}

// used is the CPU time of each process since the start.
func (m *cpuMeter) used() map[string]time.Duration {
	used := make(map[string]time.Duration)
	for name, pid := range m.pids {
		used[name] = max(cpuTime(pid)-m.before[name], 0)
	}
	return used
}

// cores is how many CPUs each process has kept busy since the start.
func (m *cpuMeter) cores() map[string]float64 {
	elapsed := time.Since(m.started).Seconds()
	cores := make(map[string]float64)
	for name, used := range m.used() {
		cores[name] = used.Seconds() / elapsed
	}
	return cores
}
