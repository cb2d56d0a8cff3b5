package main

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kernel counts CPU time in ticks of this length.
const cpuTick = 10 * time.Millisecond

// cpuTime is how much CPU time a process has used; 0 where the system has no /proc.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything. After it user's time is the 12th field, the system's the 13th.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * cpuTick
}

// busyTime is how much CPU time all of the machine has used.
func busyTime() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
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

// memory is how many MB a process holds in memory now, and at most so far; 0 where the system has no /proc.
func memory(pid int) (now, most float64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			switch fields[0] {
			case "VmRSS:":
				now = kilobytes / 1024
			case "VmHWM:":
				most = kilobytes / 1024
			}
		}
	}
	return now, most
}

// others names all processes that are not shown by name.
const others = "all others"

// usage is CPU time by process, and the time in which it was used.
type cpuUsage struct {
	cpu     map[string]time.Duration
	elapsed time.Duration
}

// meter measures some processes together with this one and the servers, until the function that it returns is called.
func (b *bench) meter(pids map[string]int) (stop func() cpuUsage) {
	all := map[string]int{"bench": os.Getpid()}
	maps.Copy(all, b.servers)
	maps.Copy(all, pids)
	before := make(map[string]time.Duration)
	for name, pid := range all {
		before[name] = cpuTime(pid)
	}
	busy, started := busyTime(), time.Now()
	return func() cpuUsage {
		u := cpuUsage{cpu: make(map[string]time.Duration), elapsed: time.Since(started)}
		rest := busyTime() - busy
		for name, pid := range all {
			u.cpu[name] = max(cpuTime(pid)-before[name], 0)
			rest -= u.cpu[name]
		}
		u.cpu[others] = max(rest, 0)
		return u
	}
}

// add takes in what was used at another time.
func (u *cpuUsage) add(o cpuUsage) {
	if u.cpu == nil {
		u.cpu = make(map[string]time.Duration)
	}
	for name, used := range o.cpu {
		u.cpu[name] += used
	}
	u.elapsed += o.elapsed
}

// cores is how many CPUs a process has kept busy.
func (u *cpuUsage) cores(name string) float64 { return u.cpu[name].Seconds() / u.elapsed.Seconds() }

// table shows how busy processes were.
func (u *cpuUsage) table(title string) Table {
	t := Table{Title: title, Columns: []string{"process", "CPUs"}}
	for _, name := range slices.Sorted(maps.Keys(u.cpu)) {
		t.Rows = append(t.Rows, []any{name, u.cores(name)})
	}
	return t
}

// quantile is the value below which a share q of the values lies, by the nearest rank; 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / max(float64(len(values)), 1)
}

// slope is how much the values grow from one to the next: the median of the slopes between any two of them (Theil and
// Sen). A surge that passes does not move it, wherever it is; a steady growth does.
func slope(values []float64) float64 {
	var slopes []float64
	for i, from := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-from)/float64(j-i))
		}
	}
	return median(slopes)
}
