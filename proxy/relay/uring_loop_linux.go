package relay

import (
	"runtime"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// uringLoop is one event loop of the io_uring engine. It is an epoll loop for connections in modeReady, and moves the
// bytes of the others, in modeRing, by requests: one system call a turn issues what the turn before asked for and
// waits for what is done. Its goroutine is locked to its thread, which is what the ring belongs to.
type uringLoop struct {
	loop
	ring         *ring.Ring
	in           *ring.Buffers // what receives fill; back with the kernel at the latest a turn after
	can          ring.Features
	addrs        connectAddrs    // of connect requests that the kernel has not taken yet
	sends        []sendRequest   // sends, in the order of their requests
	settledSends []settledHalf   // halves to look at after one of them
	needBuffer   []endRef        // receives that found no buffer
	cancelling   map[uint64]bool // cancelled requests of sockets that are closed already, by their Data
	live         int             // requests that the kernel has and will complete
	epollWatched bool            // the kernel watches the epoll instance
	noWait       bool            // the next turn is not to wait
	polled       bool            // the epoll instance has events
	grown        bool            // it is asked now and then whether there are more buffers than needed
}

// endRef names an end of a connection, which may have ended since.
type endRef struct {
	slot, gen uint32
	s         side
}

const (
	ringBuffer = 16 << 10 // bytes that one receive brings at most

	// A receive that stays ends once it brought so many bytes, so that a burst for a reader that is slow is bounded. It
	// brings less than a buffer more; twice that, what is on its way and what came meanwhile, is bufferMax.
	ringLimit = bufferMax/2 - ringBuffer

	// A half-closed connection in modeRing has nothing under way at the end that was closed, and is looked at after this
	// time: in modeReady its resets are seen.
	ringNotice = 20 * time.Millisecond

	drainLimit = 2 * time.Second // how long the end of a loop waits for the kernel to let go of everything
)

// ringSize is what a loop asks for. Variables for the sake of tests, as is ringOpened, which is called on each loop before
// its ring issues anything.
var (
	ringSize = struct {
		requests    uint32 // a turn without another system call
		completions uint32 // that the kernel can make without another system call
		buffers     int    // for received bytes: more messages a turn wait for the next
		first       int    // of them, until there are so many messages
	}{4096, 16384, 256, 16}
	ringOpened = func(*uringLoop) {}
)

// run owns the ring. started gets the error that kept it from running, or nil.
func (l *uringLoop) run(started chan<- error) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and its hold on the ring with it
	if err := l.open(); err != nil {
		l.loop.close()
		started <- err
		return
	}
	started <- nil
	for !l.done {
		l.wait()
		l.reap()
		if l.polled {
			l.takeReady()
		}
		if len(l.again) > 0 {
			l.runAgain()
		}
		l.timers.advance(l.now, l.fire)
	}
	l.end()
}

// open makes the ring, on the thread that is to use it, and asks for what it always waits for.
func (l *uringLoop) open() (err error) {
	if l.ring, err = ring.New(ringSize.requests, ringSize.completions); err != nil {
		return err
	}
	if l.in, err = l.ring.Provide(ringSize.buffers, ringSize.first, ringBuffer); err != nil {
		l.ring.Close()
		return err
	}
	if l.can, err = l.ring.Features(); err != nil {
		l.ring.Close()
		return err
	}
	ringOpened(l)
	l.watchEpoll()
	for _, a := range l.lns {
		l.setAccept(a, true)
	}
	return nil
}

// watchEpoll has events of the epoll instance reported: linux/io_uring.h, multishot polls are edge-triggered.
func (l *uringLoop) watchEpoll() {
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Len, q.OpFlags, q.Data = ring.OpPollAdd, l.ep, ring.PollMulti, unix.POLLIN, kindEpoll.data(0)
	l.live++
	l.epollWatched = true
}

// wait issues what was asked for and returns when there is something to do; see loop.wait and napMillis.
func (l *uringLoop) wait() {
	if l.turns++; l.turns%busySample == 0 {
		l.busy.Add(busySample * (l.clock() - l.now))
	}
	limit, park := time.Duration(-1), false
	if l.noWait || len(l.again) > 0 {
		limit = 0
	} else if at, ok := l.timers.next(); ok {
		limit = nanos(max(at-l.now, 0) + int64(time.Millisecond))
	}
	const nap = napMillis * time.Millisecond
	if len(l.sends) == 0 && l.now-l.woken >= int64(nap) {
		park = true
	} else if limit < 0 || limit > nap {
		limit = nap
	}
	l.noWait = false
	_ = l.ring.Wait(limit, park) // whatever the reason was, the queues tell what there is to do
	l.now = l.clock()
}

// reap acts on what was done.
func (l *uringLoop) reap() {
	l.addrs.reuse(l.ring)
	first, second := l.ring.Completions()
	l.noteSendResults(first)
	l.noteSendResults(second)
	l.settleSends()
	if len(l.needBuffer) > 0 {
		l.refill()
	}
	if len(first) == 0 {
		return
	}
	l.woken = l.now
	for i := range first {
		l.complete(&first[i])
	}
	for i := range second {
		l.complete(&second[i])
	}
	l.ring.Done()
}

// noteSendResults looks at completions for what must be known before any is acted on: which sends did not succeed.
func (l *uringLoop) noteSendResults(qs []ring.CQE) {
	for i := range qs {
		if q := &qs[i]; kind(q.Data>>kindShift) == kindSend {
			l.noteSendResult(uint32(q.Data), q.Res)
		}
	}
}

// takeReady acts on events of connections in modeReady, and on the mailbox.
func (l *uringLoop) takeReady() {
	n, _ := sysEpollWait(l.ep, l.events, 0)
	l.polled = n == len(l.events) // there may be more, and their edge is past
	for i := range l.events[:max(n, 0)] {
		ev := &l.events[i]
		if ev.Fd < 0 {
			l.dispatch(ev)
			l.polled = l.polled || ev.Fd <= keyListener // which stays reported while clients are queued, without another edge
			continue
		}
		c := l.conns.lookup(uint32(ev.Fd)>>1, uint32(ev.Pad))
		if c == nil || c.mode != modeReady {
			continue
		}
		gen, before := c.gen, c.halves[client].bytes+c.halves[upstream].bytes
		l.handleEvent(c, side(ev.Fd&1), ev.Events)
		if c.gen == gen && c.phase == phaseRelaying {
			l.calmDown(c, c.halves[client].bytes+c.halves[upstream].bytes-before)
		}
	}
	l.noWait = l.noWait || l.polled
}

// end lets the kernel finish with everything, then closes.
func (l *uringLoop) end() {
	l.cancel(kindEpoll.data(0))
	for _, a := range l.lns {
		l.setAccept(a, false)
	}
	for end := time.Now().Add(drainLimit); (l.live > 0 || l.ring.Pending() > 0 || len(l.sends) > 0) && time.Now().Before(end); {
		_ = l.ring.Wait(time.Millisecond, true)
		l.reap()
	}
	l.shared.kept.Add(int64(l.live + len(l.cancelling) + l.in.Out()))
	l.ring.Close()
	l.loop.close()
}
