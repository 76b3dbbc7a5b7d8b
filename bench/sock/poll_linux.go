package sock

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The epoll flags the bench uses.
const (
	In   = unix.EPOLLIN
	Out  = unix.EPOLLOUT
	Bad  = unix.EPOLLERR | unix.EPOLLHUP
	Edge = unix.EPOLLET & 0xffffffff
)

// Event is one readiness: what the fd was added with, and what it is ready for.
type Event = unix.EpollEvent

// Poll is an epoll set and an eventfd that wakes its waiter. One goroutine waits; any may add, change, wake.
type Poll struct {
	ep, wake int
	events   [256]Event
}

// wakeData marks the eventfd among the events; no caller's data is negative.
const wakeData = -1

// NewPoll opens an epoll set.
func NewPoll() (*Poll, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	p := &Poll{ep: ep, wake: wake}
	p.Add(wake, In, wakeData)
	return p, nil
}

// Add registers fd for flags; its events carry data (not negative).
func (p *Poll) Add(fd int, flags uint32, data int32) syscall.Errno {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, flags, data)
}

// Mod changes what fd is registered for.
func (p *Poll) Mod(fd int, flags uint32, data int32) syscall.Errno {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, flags, data)
}

// Del takes fd out of the set; closing it does so, too.
func (p *Poll) Del(fd int) { p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p *Poll) ctl(op, fd int, flags uint32, data int32) syscall.Errno {
	ev := Event{Events: flags, Fd: data}
	_, e := raw6(unix.SYS_EPOLL_CTL, uintptr(p.ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

// Wake makes a Wait under way, or the next one, return.
func (p *Poll) Wake() {
	one := uint64(1)
	raw3(unix.SYS_WRITE, uintptr(p.wake), uintptr(unsafe.Pointer(&one)), 8)
}

// Wait returns the events that are ready, at the latest after ns nanoseconds; a negative ns waits without end. The
// slice is reused by the next Wait. A wake shows as an early return with perhaps no events.
func (p *Poll) Wait(ns int64) []Event {
	var ts *unix.Timespec
	var t unix.Timespec
	if ns >= 0 {
		t = unix.NsecToTimespec(ns)
		ts = &t
	}
	n, e := raw6(unix.SYS_EPOLL_PWAIT2, uintptr(p.ep), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	if e != 0 {
		return nil
	}
	for i := 0; i < n; i++ {
		if p.events[i].Fd != wakeData {
			continue
		}
		var b [8]byte
		raw3(unix.SYS_READ, uintptr(p.wake), uintptr(unsafe.Pointer(&b[0])), 8)
		n--
		p.events[i] = p.events[n]
	}
	return p.events[:n]
}

// PrepareProcess readies a process whose goroutines sleep in raw epoll calls: such a goroutine keeps its P and cannot be
// stopped by the collector, so there is a P for each of loops and some to spare, and no collection. The parent sets
// GODEBUG=asyncpreemptoff=1 (ChildEnv) so that sysmon's signals do not end every wait after 10 ms.
func PrepareProcess(loops int) {
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(loops + 3)
}

// ChildEnv is what PrepareProcess's process needs in its environment.
const ChildEnv = "GODEBUG=asyncpreemptoff=1"

// Loops is how many event loops the load and the origin run each, for every kind of work: half the cores, since the
// proxy under test wants the others.
func Loops() int { return max(1, runtime.NumCPU()/2) }

// RaiseFileLimit lifts the soft limit on open files to the hard one, for this process and its children, and returns it.
func RaiseFileLimit() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("raise RLIMIT_NOFILE to %d: %w", l.Max, err)
	}
	return int(min(l.Max, 1<<20)), nil
}
