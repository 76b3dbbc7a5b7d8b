package meter

import (
	"bytes"
	"os"
	"strconv"
)

// Switches is how often each thread of some processes has left its CPU, by thread id.
type Switches map[int]struct{ Waits, Preempts uint64 }

// read takes the counts from a thread's status file (proc(5)). A thread that has ended is left out.
func (s Switches) read(tid int, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	count := s[tid]
	count.Waits, count.Preempts = statusField(b, "voluntary_ctxt_switches:"), statusField(b, "nonvoluntary_ctxt_switches:")
	s[tid] = count
}

// statusField is a number of a status file; 0 if it is not there.
func statusField(b []byte, name string) uint64 {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// Since is how often the threads that live at the end gave up the CPU to wait between before and s, and how often it was taken
// from them.
func (s Switches) Since(before Switches) (waits, preempts uint64) {
	for tid, now := range s {
		waits += now.Waits - min(now.Waits, before[tid].Waits)
		preempts += now.Preempts - min(now.Preempts, before[tid].Preempts)
	}
	return waits, preempts
}
