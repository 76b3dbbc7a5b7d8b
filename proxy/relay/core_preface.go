package relay

import "time"

// What the core does with a client's first bytes.

// judge gives the policy the first bytes b of a client, at most MaxPreface. more tells whether it wants further ones;
// the connection has ended, or is being dialed, otherwise. skip is how many of the bytes are not passed on.
func (l *core) judge(c *conn, b []byte) (skip int, more bool) {
	if !c.flow.Preface {
		return 0, false // any byte was enough
	}
	v := l.opts.Handler.Preface(&c.flow, b)
	switch {
	case v.More && len(b) < MaxPreface:
		c.closed, c.expired = v.ends()
		return 0, true
	case v.More:
		v.Refuse = HelloBad
	}
	if v.Refuse != None {
		l.finish(c, v.Refuse)
		return 0, false
	}
	return min(max(v.Skip, 0), len(b)), false
}

// ends returns why a connection ends without more bytes, closed by the client or by time.
func (v *Verdict) ends() (closed, expired Reason) {
	closed, expired = v.Closed, v.Expired
	if closed == None {
		closed = HelloBad
	}
	if expired == None {
		expired = PrefaceTimeout
	}
	return closed, expired
}

// prefaceEnded acts on the end of a client that has not said enough: a FIN, or a reset.
func (l *core) prefaceEnded(c *conn, reset bool) {
	if reset && c.closed != Probe {
		c.closed = ClientReset
	}
	l.finish(c, c.closed)
}

// await returns how long Dial waits for the client's first byte.
func (f *Flow) await() time.Duration { return time.Duration(f.Await) * time.Millisecond }

// silent returns why a client that has sent nothing is refused when time runs out.
func (f *Flow) silent() Reason {
	if f.Silent == None {
		return PrefaceTimeout
	}
	return f.Silent
}
