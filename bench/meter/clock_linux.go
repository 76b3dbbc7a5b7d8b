package meter

import "golang.org/x/sys/unix"

// processClock is the CPU clock of a process, in nanoseconds: the clock id is that of clock_getcpuclockid(3).
func processClock(pid int) uint64 {
	const schedClock = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano())
}
