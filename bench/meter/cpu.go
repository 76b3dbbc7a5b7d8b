// Package meter reads what processes cost from /proc: CPU, memory, fds, and how idle the machine is otherwise.
package meter

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CPU is the nanoseconds each thread of some processes has run, by thread id.
type CPU struct {
	Threads  map[int]uint64
	Clock    uint64   // the processes' own CPU clocks, which remember ended threads, too; 0 where there are none
	Switches Switches // of the threads that live
}

// ReadCPU sums up the threads of pids. /proc/PID/schedstat alone is the main thread's.
func ReadCPU(pids []int) (CPU, error) {
	c := CPU{Threads: make(map[int]uint64, 16), Switches: Switches{}}
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil || len(files) == 0 {
			return c, fmt.Errorf("read CPU of process %d: it is gone", pid)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				continue // the thread ended between the listing and here
			}
			ns, err := ParseSchedstat(b)
			if err != nil {
				return c, err
			}
			tid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			c.Threads[tid] = ns
			c.Switches.read(tid, filepath.Join(filepath.Dir(f), "status"))
		}
		c.Clock += processClock(pid)
	}
	return c, nil
}

// ParseSchedstat takes the first field of a schedstat file: nanoseconds on a CPU.
func ParseSchedstat(b []byte) (uint64, error) {
	f := bytes.Fields(b)
	if len(f) != 3 {
		return 0, fmt.Errorf("parse schedstat: %q has %d fields, not 3", b, len(f))
	}
	ns, err := strconv.ParseUint(string(f[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse schedstat: %w", err)
	}
	return ns, nil
}

// Since is the nanoseconds run between before and c, and how many threads ended in between. An ended thread takes its
// schedstat with it: then the processes' CPU clocks, which keep its time, are used.
func (c CPU) Since(before CPU) (ns uint64, vanished int) {
	for tid, t := range c.Threads {
		ns += t - min(t, before.Threads[tid])
	}
	for tid := range before.Threads {
		if _, ok := c.Threads[tid]; !ok {
			vanished++
		}
	}
	if vanished > 0 && c.Clock > before.Clock {
		ns = c.Clock - before.Clock
	}
	return ns, vanished
}

// Machine is the machine's CPU time since boot, in seconds over all cores.
type Machine struct{ Busy, Steal float64 }

// tick is USER_HZ, the unit of /proc/stat, which the kernel fixes at 100 for user space.
const tick = 100

// ReadMachine reads /proc/stat.
func ReadMachine() (Machine, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, fmt.Errorf("read machine's CPU: %w", err)
	}
	return ParseStat(b)
}

// ParseStat reads the first line of /proc/stat: user nice system idle iowait irq softirq steal (proc(5)).
func ParseStat(b []byte) (Machine, error) {
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return Machine{}, fmt.Errorf("parse /proc/stat: %q", line)
	}
	var v [8]float64
	for i := range v {
		n, err := strconv.ParseFloat(f[i+1], 64)
		if err != nil {
			return Machine{}, fmt.Errorf("parse /proc/stat: %w", err)
		}
		v[i] = n / tick
	}
	return Machine{Busy: v[0] + v[1] + v[2] + v[5] + v[6], Steal: v[7]}, nil
}
