package relay

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mailbox brings functions to a loop from other goroutines. Writing to its eventfd wakes the loop: eventfd(2).
type mailbox struct {
	fd     int32
	mu     sync.Mutex
	queue  []func()
	closed bool
}

// open makes the descriptor that wakes the loop.
func (m *mailbox) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	m.fd = int32(fd)
	return os.NewSyscallError("eventfd", err)
}

// post has f called on the loop. It returns false if the loop has ended.
func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, f)
	one := [8]byte{1}
	_, _ = unix.Write(int(m.fd), one[:]) // fails only with the counter full, and then the loop is woken anyway
	return true
}

// later posts f after d. Called on the loop.
func (m *mailbox) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() { m.post(f) })
}

// deliver calls what was posted. Called on the loop.
func (m *mailbox) deliver() {
	var count [8]byte
	_, _ = unix.Read(int(m.fd), count[:])
	m.mu.Lock()
	queue := m.queue
	m.queue = nil
	m.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// close has post refuse what comes from now on.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	sysClose(m.fd)
}
