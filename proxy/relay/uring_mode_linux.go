package relay

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// leave takes a connection to modeReady, once the kernel has no request of it any more. The caller is done with c: it may
// have ended on return.
func (l *uringLoop) leave(c *conn) {
	if c.mode != modeRing {
		return
	}
	c.mode = modeLeaving
	for s := range c.ends {
		e := &c.ends[s]
		if e.recv {
			l.cancel(connData(kindRecv, c, side(s)))
		}
		if e.dial {
			l.cancel(connData(kindConnect, c, side(s)))
		}
		if e.watch {
			l.abandon(connData(kindWatch, c, side(s)))
			e.watch = false
		}
	}
	l.noWait = true // a send that succeeds does not end a wait
	l.arrive(c)
}

// arrive puts a connection that leaves modeRing into modeReady, once the kernel has no request of it.
func (l *uringLoop) arrive(c *conn) {
	if c.mode != modeLeaving || c.ends[client].recv || c.ends[upstream].recv || c.ends[upstream].dial || c.halves[client].sending+c.halves[upstream].sending > 0 {
		return
	}
	c.mode, c.calm = modeReady, 0
	c.ends[client].rd, c.ends[client].wr = true, true
	c.ends[upstream].rd, c.ends[upstream].wr = true, true
	if l.freezing != nil && c.phase == phaseRelaying {
		c.calm = asleep // another process is to serve it: nothing is registered or read for it here, unless the hand-over fails
		return
	}
	l.wake(c)
}

// wake has a connection that has come to modeReady watched, and does what can be done for it now.
func (l *uringLoop) wake(c *conn) {
	c.calm = 0
	for s := range c.ends {
		if c.ends[s].fd >= 0 && !l.watch(c, side(s)) {
			l.finish(c, Internal)
			return
		}
	}
	switch c.phase {
	case phaseRelaying:
		l.drive(c)
	case phasePreface:
		if c.unseen {
			c.unseen = false
			if !l.judgePreface(c) {
				return
			}
		}
		l.readPreface(c)
	}
}

// calmDown takes a connection back to modeRing after some small messages. moved is what an event of it moved.
func (l *uringLoop) calmDown(c *conn, moved uint64) {
	if moved == 0 || l.freezing != nil {
		return
	}
	if c.calm++; moved >= bulkRead || c.queued || !c.plain() {
		c.calm = 0
	}
	if c.calm < calmMessages {
		return
	}
	c.mode = modeRing
	for s := range c.ends {
		_ = sysEpollCtl(l.ep, unix.EPOLL_CTL_DEL, c.ends[s].fd, nil) // it is registered
		l.recv(c, side(s), false)
	}
}

// plain reports whether a connection is one that modeRing can serve: both directions are open, and nothing is held or special.
func (c *conn) plain() bool {
	for s := range c.ends {
		e, h := &c.ends[s], &c.halves[s]
		if h.state != halfOpen || h.held() || h.splice || e.hup || e.reset || e.urgent {
			return false
		}
	}
	return c.phase == phaseRelaying && c.proof != disproved
}

// enter: see host. A connection that modeRing can serve goes there without having been watched first: that takes four system calls less.
func (l *uringLoop) enter(c *conn) bool {
	if !c.plain() {
		return false
	}
	c.calm = asleep
	l.entering = append(l.entering, entry{c.slot, c.gen, c.active})
	return true
}

// entry names a connection that enters the ring, and says when it moved a byte last. It may have ended since.
type entry struct {
	slot, gen uint32
	active    int64
}

// enterTurn is how many connections enter the ring a turn at most, so that those that have entered are served meanwhile. Tests have fewer.
var enterTurn = 256

// enterFirst puts those that enter into the order in which they do, from the end of the list: the one that moved a byte last comes first.
func (l *uringLoop) enterFirst() {
	slices.SortFunc(l.entering, func(a, b entry) int { return cmp.Compare(a.active, b.active) })
	l.noWait = len(l.entering) > 0
}

// enterSome asks for the receives of some of those that enter.
func (l *uringLoop) enterSome() {
	for range min(enterTurn, len(l.entering)) {
		n := len(l.entering) - 1
		at := l.entering[n]
		l.entering = l.entering[:n]
		c := l.conns.lookup(at.slot, at.gen)
		switch {
		case c == nil || c.calm != asleep:
		case !c.plain(): // a timer has seen to it meanwhile
			l.wake(c)
		default:
			c.mode, c.calm = modeRing, 0
			l.recv(c, client, true)
			l.recv(c, upstream, true)
		}
	}
	l.noWait = l.noWait || len(l.entering) > 0
}

const (
	calmMessages = 8 // small messages in a row that take a connection back to modeRing

	// asleep stands in conn.calm for one in modeReady that is not watched: it has left modeRing for a standstill, or enters it after one.
	asleep = 0xff
)
