package meter

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Processes is the nanoseconds that every process of the machine has run, its living threads together.
type Processes map[int]uint64

// ReadProcesses reads them all; it takes a few milliseconds.
func ReadProcesses() Processes {
	p := Processes{}
	files, _ := filepath.Glob("/proc/[0-9]*/task/*/schedstat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(f, "/")[2])
		if ns, err := ParseSchedstat(b); err == nil {
			p[pid] += ns
		}
	}
	return p
}

// Since splits the nanoseconds run between before and p into those of known processes and of all others, and names the
// busiest of the others. A process that began in between counts whole; one that ended is not seen.
func (p Processes) Since(before Processes, known []int) (mine, others uint64, busiest string) {
	var most uint64
	var pid int
	for id, ns := range p {
		d := ns - min(ns, before[id])
		if slices.Contains(known, id) {
			mine += d
			continue
		}
		others += d
		if d > most {
			most, pid = d, id
		}
	}
	return mine, others, processName(pid)
}

// Deferred is the kernel's threads for network work that did not fit into the time of whoever caused it. They are busy with
// the bench's packets, above all in bulk, but no process is charged for it.
func Deferred() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(b), "ksoftirqd/") {
			pid, _ := strconv.Atoi(strings.Split(f, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func processName(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(b))
}

// Unowned is the share of the machine that may be busy without any process being it. In conn_rate, with nobody else at
// work, 5 to 8 % were (interrupts and timers on an idle core are the likely cause; not traced), and would have set off every
// warning. What goes beyond it counts as processes that came and went; less than it of those goes unseen.
const Unowned = 0.1

// Foreign is the share of capacity (nanoseconds of all cores) that was not the bench's, given what the machine was busy for.
func Foreign(mine, others uint64, busy, capacity float64) float64 {
	unseen := busy - float64(mine+others) - Unowned*capacity
	return (float64(others) + max(0, unseen)) / capacity
}
