package relay

import (
	"runtime"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
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
	if l.first != nil {
		l.loop.standStill(l.first)
		l.enterFirst()
	} else {
		l.acceptAll()
	}
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
		if l.freezing != nil {
			l.comeToRest()
		} else if len(l.entering) > 0 {
			l.enterSome()
		}
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
	return nil
}

// acceptAll begins to accept from the listeners.
func (l *uringLoop) acceptAll() {
	for _, a := range l.lns {
		l.setAccept(a, true)
	}
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
	nap := napMillis * time.Millisecond
	if l.freezing != nil {
		nap = restLook
	}
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

// complete acts on a completion.
func (l *uringLoop) complete(q *ring.CQE) {
	switch kind(q.Data >> kindShift) {
	case kindRecv:
		l.received(q)
	case kindConnect:
		l.connectDone(q)
	case kindWatch:
		l.watchDone(q)
	case kindAccept:
		l.acceptDone(acceptListener(q.Data), acceptIndex(q.Data), q)
	case kindEpoll:
		l.epollReady(q)
	default:
		if kind(q.Data>>kindShift) >= kindCancel && q.Res < 0 {
			l.cancelFailed(q.Data - kindCancel.data(0))
		}
	}
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
