package bench

import (
	"bytes"
	"fmt"
	"maps"
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

// busyTime is how much CPU time all of the machine has used.
func busyTime() time.Duration {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	const idle, wait, last = 4, 5, 8 // fields of the line "cpu …"; the guests behind are counted twice
	ticks := 0
	for i, field := range strings.Fields(line) {
		if i > 0 && i != idle && i != wait && i <= last {
			n, _ := strconv.Atoi(field)
			ticks += n
		}
	}
	return time.Duration(ticks) * cpuTick
}

// others names all processes that are not told by name.
const others = "all others"

// usage is CPU time by process, and the time in which it was used.
type usage struct {
	cpu     map[string]time.Duration
	elapsed time.Duration
}

// cpuMeter tells how much CPU time processes use from its start on.
type cpuMeter struct {
	pids    map[string]int
	before  map[string]time.Duration
	busy    time.Duration
	started time.Time
}

func startMeter(pids map[string]int) *cpuMeter {
	m := &cpuMeter{pids: pids, before: make(map[string]time.Duration), busy: busyTime(), started: time.Now()}
	for name, pid := range pids {
		m.before[name] = cpuTime(pid)
	}
	return m
}

// stop is the CPU time of each process since the start, and of all others.
func (m *cpuMeter) stop() usage {
	u := usage{cpu: make(map[string]time.Duration), elapsed: time.Since(m.started)}
	rest := busyTime() - m.busy
	for name, pid := range m.pids {
		u.cpu[name] = max(cpuTime(pid)-m.before[name], 0)
		rest -= u.cpu[name]
	}
	u.cpu[others] = max(rest, 0)
	return u
}

// add takes in what was used at another time.
func (u *usage) add(o usage) {
	if u.cpu == nil {
		u.cpu = make(map[string]time.Duration)
	}
	for name, used := range o.cpu {
		u.cpu[name] += used
	}
	u.elapsed += o.elapsed
}

// cores is how many CPUs each process has kept busy.
func (u usage) cores() map[string]float64 {
	cores := make(map[string]float64)
	for name, used := range u.cpu {
		cores[name] = used.Seconds() / u.elapsed.Seconds()
	}
	return cores
}

// meter measures some processes together with this one and the servers.
func (b *Bench) meter(pids map[string]int) *cpuMeter {
	all := maps.Clone(b.Servers)
	if all == nil {
		all = make(map[string]int)
	}
	maps.Copy(all, pids)
	all["bench"] = os.Getpid()
	return startMeter(all)
}
