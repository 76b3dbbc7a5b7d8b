package relay

import "time"

// A path may go dark while bytes are on their way: no keepalive is sent then, tcp(7), and the kernel sends again for a
// quarter of an hour. Its TCP_USER_TIMEOUT ends that, but it also ends a peer that just does not read, although that
// peer answers each window probe (by test on 6.18: after 3.3 s where 3 s were set), and it takes the place of the
// number of keepalives. So the core asks each end now and then what its peer has acknowledged.

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

// tighten brings the timer forward when a half ended: half_close is usually shorter than idle, and a peer may be lost with what was sent last.
func (l *core) tighten(c *conn) {
	if c.phase != phaseRelaying {
		return // set when the connection comes to it
	}
	l.timers.set(c.slot, l.now+min(int64(l.opts.HalfCloseTimeout), l.notice, l.debtPeriod()))
}
