package handoff

import (
	"syscall"
	"unsafe"
)

const clockMonotonic = 1 // CLOCK_MONOTONIC, clock_gettime(2)

// Now returns CLOCK_MONOTONIC in nanoseconds, by which the times of the state go.
func Now() int64 {
	var t syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0) // it cannot fail
	return t.Nano()
}
