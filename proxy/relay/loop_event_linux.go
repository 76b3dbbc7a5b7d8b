package relay

import "golang.org/x/sys/unix"

// dispatch takes an event to the mailbox, the listener or the connection that it is for.
func (l *loop) dispatch(ev *unix.EpollEvent) {
	if ev.Fd < 0 {
		if ev.Fd == keyMail {
			l.mail.deliver()
			return
		}
		if a := l.lns[keyListener-ev.Fd]; a.fd >= 0 { // not closed by an earlier event of this batch
			l.acceptSome(a)
		}
		return
	}
	c := l.conns.lookup(uint32(ev.Fd)>>1, uint32(ev.Pad))
	if c == nil {
		return // ended by an earlier event of this batch
	}
	l.handleEvent(c, side(ev.Fd&1), ev.Events)
}

// gone is how epoll tells of an end that was reset, or closed both ways: nothing will be taken or sent by it any more.
const gone = unix.EPOLLHUP | unix.EPOLLERR

// handleEvent acts on an event of a connection's end.
func (l *loop) handleEvent(c *conn, s side, events uint32) {
	l.noteEvent(c, s, events)
	switch c.phase {
	case phaseRelaying:
		if events&gone != 0 && c.halves[s].state != halfOpen {
			// Nobody reads this end any more, so a reset shows only here: what is meant for it is lost.
			c.ends[s].lost = c.ends[s].lost || l.io.lost(c, s)
			c.happen(s.other(), eventBroken)
		}
		l.drive(c)
	case phasePreface:
		l.readPreface(c)
	case phaseDialing:
		if s == upstream {
			l.dialEvent(c, events)
		} else if events&gone != 0 {
			l.clientGone(c)
		}
	case phaseLingering:
		if events&gone != 0 && s == c.linger {
			l.finish(c, c.reason)
		}
	case phaseWarm:
		if c.ends[s].hup {
			l.warmClosedByPeer(c)
		}
	}
}

// noteEvent notes what an event says about an end.
func (l *loop) noteEvent(c *conn, s side, events uint32) {
	e := &c.ends[s]
	if events&unix.EPOLLOUT != 0 {
		e.wr = true
	}
	if events&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLRDHUP|gone) == 0 {
		return
	}
	e.rd = true
	if events&unix.EPOLLPRI != 0 {
		e.urgent = true
	}
	if events&unix.EPOLLERR != 0 && s == client {
		c.failed = true
	}
	if events&(unix.EPOLLRDHUP|gone) != 0 && !e.hup {
		e.hup = true
		l.tighten(c) // what is held may keep the end from being read
	}
}

// clientGone ends the dialing for a client that has reset, unless it sent bytes before, which are to be delivered.
func (l *loop) clientGone(c *conn) {
	if c.halves[client].held() {
		return
	}
	if n, e := sysQueued(c.ends[client].fd, unix.TIOCINQ); e == 0 && n > 0 {
		return
	}
	l.finish(c, ClientReset)
}

// runAgain gives those that used up their budget another one.
func (l *loop) runAgain() {
	l.again, l.spare = l.spare[:0], l.again
	for _, slot := range l.spare {
		if c := l.conns.at(slot); c.queued {
			c.queued = false
			if c.phase == phaseRelaying {
				l.drive(c)
			}
		}
	}
}
