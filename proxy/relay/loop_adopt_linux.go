package relay

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Listening sockets and connections that come from another process.

// listeningSockets: see carrier.
func (g *loopGroup) listeningSockets() (all []handoff.Socket) {
	for _, l := range g.loops {
		for _, a := range l.lns {
			if a.fd >= 0 && a.closed == nil {
				all = append(all, handoff.Socket{
					Use: handoff.UseRelay, Name: a.ln.Name, Addr: localAddr(a.fd), Loop: l.id, Shared: a.shared, FD: int(a.fd),
				})
			}
		}
	}
	return all
}

// adoptedFor returns those of the sockets that a listener takes over: of its name and address, else of its address. list are the
// listeners of the relay.
func adoptedFor(ln *Listener, list []Listener, sockets []handoff.Socket) (mine []handoff.Socket) {
	names := map[string]bool{}
	for i := range list {
		names[list[i].Name] = true
	}
	var others []handoff.Socket
	for _, s := range sockets {
		switch {
		case s.Use != handoff.UseRelay || !listensOn(ln.Addr, s.Addr):
		case s.Name == ln.Name:
			mine = append(mine, s)
		case !names[s.Name] && ln.Addr.Port() != 0:
			others = append(others, s)
		}
	}
	if len(mine) == 0 {
		mine = others
	}
	return mine
}

// listensOn reports whether a socket that is bound to bound can serve a listener that is to be on want.
func listensOn(want, bound netip.AddrPort) bool {
	if want.Port() != 0 && want.Port() != bound.Port() {
		return false
	}
	return want.Addr() == bound.Addr() || want.Addr() == netip.IPv6Unspecified() && bound.Addr().IsUnspecified() // a host without IPv6
}

// duplicates returns a listening socket for each loop, and one for each of the sockets at least: index i is for loop i modulo the
// number of loops. shared tells which are in use by more than one of them. An error leaves none open.
func duplicates(from []handoff.Socket, loops int) (all []*acceptor, err error) {
	for i := range max(loops, len(from)) {
		s := &from[i%len(from)]
		fd, err := unix.FcntlInt(uintptr(s.FD), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			for _, a := range all {
				sysClose(a.fd)
			}
			return nil, os.NewSyscallError("dup", err)
		}
		all = append(all, &acceptor{fd: int32(fd), shared: s.Shared || loops > len(from)})
	}
	return all, nil
}

// adoptListener gives the loops the sockets of another process for a listener. It returns false if there are none.
func (g *loopGroup) adoptListener(ln *Listener, o *Options) (adopted bool, err error) {
	if o.Adopt == nil {
		return false, nil
	}
	from := adoptedFor(ln, o.Listeners, o.Adopt.Sockets)
	if len(from) == 0 {
		return false, nil
	}
	opened, err := duplicates(from, len(g.loops))
	if err != nil {
		return true, &ListenError{Listener: ln.Name, Addr: ln.Addr, Err: err}
	}
	for i, a := range opened {
		a.ln = ln
		g.loops[i%len(g.loops)].attach(a)
	}
	g.bound = append(g.bound, localAddr(opened[0].fd))
	return true, nil
}

// take: see carrier.
func (g *loopGroup) take(v *handoff.Conn, m Mover) error {
	l := g.loops[max(v.Loop, 0)%len(g.loops)]
	c := l.conns.get()
	err := l.fillFrom(c, v, g.began)
	if err == nil {
		l.takePipes(c, v)
	}
	switch {
	case err != nil:
	case c.phase != phaseWarm:
		err = l.takePolicy(c, v, g.began, m, func(a *conn) bool { return l.watch(a, upstream) })
	case !l.takeWarm(c, v, m):
		l.endTaking(c)
		v.CloseFDs()
		return nil
	}
	if err != nil {
		l.endTaking(c)
		return err
	}
	if !l.host.enter(c) {
		g.enroller.add(l, c) // last: nothing undoes it
	}
	if v.Fires != 0 {
		l.timers.set(c.slot, v.Fires-g.began)
	}
	return nil
}

// takePipes gives a connection its pipes.
func (l *loop) takePipes(c *conn, v *handoff.Conn) {
	for s, h := range [...]*handoff.Half{client: &v.Upload, upstream: &v.Download} {
		if h.Piped > 0 {
			c.halves[s].pipe = &pipe{r: int32(h.PipeR), w: int32(h.PipeW), size: int32(h.PipeSize)}
			c.halves[s].inPipe = int32(h.Piped)
			l.pipes.used++
			l.pipes.open.Add(1)
		}
	}
}

// endTaking frees a connection that is not taken, and attempts beside its own. Their descriptors are the caller's to close.
func (l *loop) endTaking(c *conn) {
	if c.race != nil {
		for _, a := range c.race.beside {
			l.leaveAlone(a)
			l.drop(a)
		}
	}
	l.leaveAlone(c)
	for s := range c.halves {
		if h := &c.halves[s]; h.pipe != nil {
			l.pipes.used--
			l.pipes.open.Add(-1)
			h.pipe, h.inPipe = nil, 0
		}
	}
	l.drop(c)
}

// leaveAlone ends the watching of a connection's sockets and forgets them.
func (l *loop) leaveAlone(c *conn) {
	for s := range c.ends {
		if e := &c.ends[s]; e.fd >= 0 {
			_ = sysEpollCtl(l.ep, unix.EPOLL_CTL_DEL, e.fd, nil) // it may not be registered
			e.fd = -1
		}
	}
}

// takePools: see carrier.
func (g *loopGroup) takePools(pools []*Warm) {
	for _, l := range g.loops {
		for _, w := range pools {
			l.pools = append(l.pools, &pool{Warm: w, want: w.share(l.id, l.opts.Loops)})
		}
	}
}
