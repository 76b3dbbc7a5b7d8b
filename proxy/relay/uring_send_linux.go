package relay

import "syscall"

// noteSendResult notes that a send did not do all it was asked.
func (l *uringLoop) noteSendResult(request uint32, res int32) {
	for i := range l.sends {
		if f := &l.sends[i]; f.request == request {
			f.res = res
			return
		}
	}
}

// settleSends settles the sends that the kernel has taken: all their completions are known.
func (l *uringLoop) settleSends() {
	n := 0
	for n < len(l.sends) && l.ring.Taken(l.sends[n].request) {
		l.settleSend(&l.sends[n])
		n++
	}
	if n == 0 {
		return
	}
	left := copy(l.sends, l.sends[n:])
	clear(l.sends[left:])
	l.sends = l.sends[:left]
	for _, at := range l.settledSends {
		if c := l.conns.lookup(at.slot, at.gen); c != nil {
			l.afterSend(c, at.s, at.short)
		}
	}
	l.settledSends = l.settledSends[:0]
}

// afterSend does what waited for a send of the half from s.
func (l *uringLoop) afterSend(c *conn, s side, short bool) {
	h := &c.halves[s]
	switch {
	case c.mode == modeReady: // the other half, settled in the same turn, took it there
	case c.mode == modeLeaving:
		l.arrive(c)
	case short || c.proof == disproved:
		l.leave(c)
	case h.hold != nil:
		b := h.hold
		h.hold = nil
		l.issueSend(c, s, b.bytes(), sendRequest{hold: b})
		l.noWait = true
	case h.state == halfFIN:
		l.ended(c, s)
	case h.state == halfOpen && !c.ends[s].recv:
		l.recv(c, s, true)
	}
}

// settleSend counts what a send did and gives its memory back.
func (l *uringLoop) settleSend(f *sendRequest) {
	if c := l.conns.lookup(f.end.slot, f.end.gen); c != nil {
		l.delivered(c, f)
	}
	if f.hold != nil {
		l.bufs.put(f.hold)
	} else if f.id != noBuffer {
		l.in.Put(f.id)
	}
}

// delivered counts what a send delivered; what it did not is held.
func (l *uringLoop) delivered(c *conn, f *sendRequest) {
	s := f.end.s
	h := &c.halves[s]
	h.sending = 0
	sent := max(f.res, 0)
	if sent > 0 {
		if c.proof != proved && s == client {
			l.remember(c, l.carried(f)[:sent])
		}
		h.bytes += uint64(sent)
		c.active = l.now
		c.flow.Endpoint.Tally.add(l.id, s == client, uint64(sent), 0)
	}
	short := sent < f.len
	if short {
		l.holdRest(c, f, int(sent))
	}
	if short || c.mode == modeLeaving || h.hold != nil || h.state != halfOpen || !c.ends[s].recv {
		l.settledSends = append(l.settledSends, settledHalf{f.end, short})
	}
}

// carried returns what a send was given.
func (l *uringLoop) carried(f *sendRequest) []byte {
	if f.hold != nil {
		return f.hold.bytes()
	}
	return l.in.Bytes(f.id, int(f.len))
}

// holdRest puts what a send did not deliver before what has come since.
func (l *uringLoop) holdRest(c *conn, f *sendRequest, sent int) {
	h := &c.halves[f.end.s]
	later := h.hold
	if f.hold != nil {
		f.hold.from += sent
		h.hold, f.hold, f.id = f.hold, nil, noBuffer
	} else {
		h.hold = nil
		l.keep(c, f.end.s, l.in.Bytes(f.id, int(f.len))[sent:])
	}
	if later != nil {
		l.keep(c, f.end.s, later.bytes())
		l.bufs.put(later)
	}
	if f.res < 0 {
		l.writeEnded(c, f.end.s, syscall.Errno(-f.res))
	} else {
		c.ends[f.end.s.other()].wr = false
	}
}
