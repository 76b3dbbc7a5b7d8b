package sock

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// KeepTime makes the calling goroutine's thread a real-time one, where that is allowed, so that on a machine whose cores
// are all busy it still runs when it is due. The thread must end with the goroutine, hence is never unlocked.
func KeepTime() {
	runtime.LockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	_ = unix.SchedSetAttr(0, &attr, 0) // without the privilege the thread is merely less punctual
}

// Sleep waits in the kernel, on this very thread; time.Sleep would be woken by an ordinary one, and to the millisecond.
func Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	for errors.Is(unix.Nanosleep(&ts, &ts), unix.EINTR) {
	}
}
