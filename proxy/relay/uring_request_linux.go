package relay

import "github.com/l4fwd/l4fwd/proxy/relay/ring"

// kind says what a completion is of. With side, tag, slot and generation it makes the Data of a request.
type kind uint64

const (
	kindNone    kind = iota // of no interest: a close, a cancellation
	kindRecv                // slot and generation
	kindConnect             // slot, generation and tag
	kindWatch               // slot and generation
	kindSend                // number of the request
	kindAccept              // number of the listener, and of the call in the lowest byte
	kindEpoll
	kindCancel kind = 8 // and the kind of what is cancelled

	kindShift = 60
	sideShift = 59
	tagShift  = 56
	tagMask   = 7
	genShift  = 24
	slotMask  = 1<<genShift - 1
)

// data makes the Data of a request of kind k.
func (k kind) data(v uint64) uint64 { return uint64(k)<<kindShift | v }

// connData makes the Data of a request for the end s of c.
func connData(k kind, c *conn, s side) uint64 {
	return uint64(k)<<kindShift | uint64(s)<<sideShift | uint64(c.ends[s].tag&tagMask)<<tagShift |
		uint64(c.gen)<<genShift | uint64(c.slot)
}

// find returns the connection and the end that a request was for, or nil if the connection has ended since.
func (l *uringLoop) find(data uint64) (*conn, side) {
	return l.conns.lookup(uint32(data&slotMask), uint32(data>>genShift)), side(data >> sideShift & 1)
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
