package relay

import "golang.org/x/sys/unix"

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
	for s := range c.ends {
		if c.ends[s].fd >= 0 && !l.watch(c, side(s)) {
			l.finish(c, Internal)
			return
		}
		c.ends[s].rd, c.ends[s].wr = true, true
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
	for s := range c.ends {
		e, h := &c.ends[s], &c.halves[s]
		if h.state != halfOpen || h.held() || h.splice || e.hup || e.reset || e.urgent {
			c.calm = 0
			return
		}
	}
	if c.calm++; moved >= bulkRead || c.queued {
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

const calmMessages = 8 // small messages in a row that take a connection back to modeRing
