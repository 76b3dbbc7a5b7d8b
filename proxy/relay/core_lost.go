package relay

import (
	"syscall"
	"time"
)

// A path may go dark while bytes are on their way: no keepalive is sent then, tcp(7), and the kernel sends again for a
// quarter of an hour. Its TCP_USER_TIMEOUT ends that, but it also ends a peer that just does not read, although that
// peer answers each window probe (by test on 6.18: after 3.3 s where 3 s were set), and it takes the place of the
// number of keepalives. So the core asks each end now and then what its peer has acknowledged.

// acknowledgement is how the peer of an end acknowledges what it is sent.
type acknowledgement struct {
	bytes      uint64        // acknowledged so far
	inFlight   bool          // bytes were sent that are not acknowledged
	closed     bool          // none is on its way, but there are some that its window has no room for
	unanswered bool          // no answer came to the last window probe, if one was sent
	silent     time.Duration // since the last packet that acknowledged anything, also what it had acknowledged before
}

// debt is what the peer of an end owes, as of the last look at it. The zero value: nothing.
type debt struct {
	bytes  uint64 // acknowledged
	since  int64  // first look that found so many, and something that is unanswered; 0: nothing was
	closed bool   // its window was
}

// debtParts is how often an end is looked at within Keepalive.UserTimeout.
const debtParts = 8

// debtPeriod returns after how many nanoseconds ends are looked at.
func (l *core) debtPeriod() int64 {
	return max(int64(l.opts.Keepalive.UserTimeout)/debtParts, wheelTick)
}

// collectDebts ends a relayed connection one of whose peers is lost. It reports whether it did.
func (l *core) collectDebts(c *conn) bool {
	owed := l.debts[c.slot]
	var now [2]debt
	if owed != nil {
		now = *owed
	}
	for _, s := range [...]side{client, upstream} {
		if !c.ends[s].lost && now[s].overdue(l.io.acknowledged(c, s), l.now, l.opts.Keepalive.UserTimeout) {
			delete(l.debts, c.slot)
			l.lose(c, s)
			return true
		}
	}
	l.note(c, owed, now)
	return false
}

// note keeps what the peers of a connection owe now, if anything.
func (l *core) note(c *conn, owed *[2]debt, now [2]debt) {
	switch {
	case now[client].none() && now[upstream].none():
		delete(l.debts, c.slot)
	case owed != nil:
		*owed = now
	default:
		kept := now // allocated for those that owe something only
		l.debts[c.slot] = &kept
	}
}

// none reports whether the peer owed nothing at the last look.
func (d *debt) none() bool { return d.since == 0 && !d.closed }

// overdue notes what a peer has acknowledged and reports whether it is lost.
func (d *debt) overdue(a acknowledgement, now int64, limit time.Duration) bool {
	d.closed = a.closed
	switch {
	case !a.inFlight && !(a.closed && a.unanswered):
		d.since = 0
	case d.since == 0 || a.bytes != d.bytes:
		d.since, d.bytes = max(now, 1), a.bytes
	default:
		// Between two looks a window probe may have been answered and the next one sent.
		return now-d.since >= int64(limit) && (a.inFlight || a.silent >= limit)
	}
	return false
}

// lose ends a connection whose end s does not answer. What came from it before is delivered.
func (l *core) lose(c *conn, s side) {
	c.ends[s].lost = true
	c.happen(s, eventReset)
	c.happen(s.other(), eventBroken)
	l.tighten(c)
	l.io.giveUp(c)
}

// lostErrno reports whether an established connection failed because its peer does not answer: keepalives, or bytes that
// were sent again and again. The kernel tells ETIMEDOUT then, or what a router has said meanwhile.
func lostErrno(e syscall.Errno) bool {
	switch e {
	case syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN:
		return true
	}
	return false
}

// failureOf returns why the end s of a connection ended, if not by a FIN.
func (c *conn) failureOf(s side) Reason {
	if c.ends[s].lost {
		return lostBy[s]
	}
	return resetBy[s]
}

// overrides reports whether a cause that came later is the reported one.
func overrides(later, first Reason) bool {
	switch later {
	case UpstreamReset:
		return first == None || first == ClientClosed
	case ClientLost, UpstreamLost:
		return first == None || first == ClientClosed || first == UpstreamClosed
	}
	return first == None
}
