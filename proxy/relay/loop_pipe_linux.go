package relay

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pipes is a loop's pool of empty pipes for splicing.
type pipes struct {
	free *pipe
	kept int           // free ones
	used int           // those that halves have
	max  int           // of both together
	size int           // in bytes, what each is asked to hold
	open *atomic.Int64 // pipes open in all loops
}

// pipeKeep is how many empty pipes a loop keeps.
const pipeKeep = 8

// get returns an empty pipe, or nil if there is none to be had. Without a free pipe, bytes are copied.
func (p *pipes) get() *pipe {
	if q := p.free; q != nil {
		p.free, q.next = q.next, nil
		p.kept--
		p.used++
		return q
	}
	if p.used >= p.max {
		return nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil
	}
	p.used++
	p.open.Add(1)
	q := &pipe{r: int32(fds[0]), w: int32(fds[1])}
	// An unprivileged process past its share is refused the size and keeps what it has, which may be a page or two.
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, p.size)
	if err != nil {
		size, err = unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil || size < pipeLeast {
		p.destroy(q)
		return nil
	}
	q.size = int32(size)
	return q
}

// put takes back an empty pipe.
func (p *pipes) put(q *pipe) {
	if p.kept >= pipeKeep {
		p.destroy(q)
		return
	}
	p.used--
	p.kept++
	q.next, p.free = p.free, q
}

// destroy closes a pipe that a half had, with whatever is in it.
func (p *pipes) destroy(q *pipe) {
	p.used--
	p.shut(q)
}

// shut closes a pipe that is not counted as kept or used any more.
func (p *pipes) shut(q *pipe) {
	sysClose(q.r)
	sysClose(q.w)
	p.open.Add(-1)
}

// scarce reports whether half of the pipes are in use: those that come now go to halves that keep moving.
func (p *pipes) scarce() bool { return 2*p.used > p.max }

// close closes the free pipes.
func (p *pipes) close() {
	for ; p.free != nil; p.kept-- {
		q := p.free
		p.free = q.next
		p.shut(q)
	}
}
