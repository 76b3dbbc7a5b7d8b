package relay

import "github.com/l4fwd/l4fwd/proxy/relay/ring"

// find returns the connection and the end that a request was for, or nil if the connection has ended since.
func (l *uringLoop) find(data uint64) (*conn, side) {
	return l.conns.lookup(uint32(data&slotMask), uint32(data>>genShift)), side(data >> sideShift & 1)
}

// cancel asks for the end of a request, whose completion comes in any case. A request that the kernel is about to try
// again is not found, and may wait once more after that; see cancelFailed.
func (l *uringLoop) cancel(data uint64) {
	q, _ := l.ring.Next()
	q.Op, q.Addr, q.Flags, q.Data = ring.OpAsyncCancel, data, ring.SkipSuccess, data+kindCancel.data(0)
}

// cancelFailed cancels again what has not completed: a request that is left would keep its socket open for ever.
func (l *uringLoop) cancelFailed(data uint64) {
	live := l.cancelling[data]
	switch kind(data >> kindShift) {
	case kindRecv:
		c, s := l.find(data)
		live = live || c != nil && c.ends[s].recv
	case kindConnect:
		c, s := l.find(data)
		live = live || c != nil && c.ends[s].dial
	case kindAccept:
		live = l.lns[acceptListener(data)].calls[acceptIndex(data)].armed
	case kindEpoll:
		live = l.epollWatched
	}
	if live {
		l.cancel(data)
	}
}

// abandon cancels a request of a socket that is about to be closed, and remembers it until it has completed.
func (l *uringLoop) abandon(data uint64) {
	l.cancelling[data] = true
	l.cancel(data)
}

// epollReady notes that the epoll instance has events. A poll that the kernel ended is begun anew.
func (l *uringLoop) epollReady(q *ring.CQE) {
	l.polled = true
	if q.More() {
		return
	}
	l.live--
	l.epollWatched = false
	if !l.done {
		l.watchEpoll()
	}
}
