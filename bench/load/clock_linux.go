package load

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// keepTime makes the calling goroutine's thread a real-time one, where that is allowed, so that on a machine whose cores are all
// busy the edges of a window are read when they are due. The thread must end with the goroutine, hence is never unlocked.
func keepTime() {
	runtime.LockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	_ = unix.SchedSetAttr(0, &attr, 0) // without the privilege the edges are merely less sharp
}

// sleep waits in the kernel, on this very thread; time.Sleep would be woken by an ordinary one.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.Nanosleep(&ts, &ts), unix.EINTR) {
	}
}
