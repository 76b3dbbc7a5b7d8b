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
	open *atomic.Int64 // pipes open in all loops
}

const (
	// pipeSize is what a pipe is asked to hold, in bytes: fs.pipe-max-size allows 1 MiB by default. Half of it costs a
	// tenth more CPU a byte in `make bench`, a quarter a third more.
	pipeSize  = 1 << 20
	pipeLeast = 64 << 10 // a pipe that holds less is no gain over copying
	pipeKeep  = 8        // empty pipes a loop keeps
	// pipesMax keeps the pipes of all loops together below fs.pipe-user-pages-soft, 64 MiB a user by default, past which
	// an unprivileged process gets pipes of one or two pages: pipe(7). Each loop has its share. What finds no pipe is
	// copied.
	pipesMax = 48
)

// get returns an empty pipe, or nil if there is none to be had.
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
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
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
