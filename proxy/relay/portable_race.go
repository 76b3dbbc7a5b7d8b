package relay

import (
	"context"
	"net"
	"time"
)

// portableRace is the attempts of one connection that are under way beside each other, see core_race.go.
type portableRace struct {
	c       *portableConn
	ctx     context.Context
	ended   chan *portableAttempt
	pending map[*portableAttempt]context.CancelCauseFunc
}

// portableAttempt is one attempt to connect.
type portableAttempt struct {
	ep      *Endpoint
	begun   time.Time
	took    time.Duration
	sock    *net.TCPConn // nil: failure says why
	failure Reason
}

// race tries first, and the endpoints that the policy names beside it, until one has connected, in which case it returns true, or
// all that were tried have failed. A failed attempt is followed by the next at once, one that does not answer within its
// stagger by the next beside it.
func (c *portableConn) race(ctx context.Context, first *Endpoint) bool {
	r := &portableRace{c: c, ctx: ctx, ended: make(chan *portableAttempt), pending: map[*portableAttempt]context.CancelCauseFunc{}}
	r.begin(first)
	next := time.NewTimer(first.Stagger)
	defer next.Stop()
	if first.Stagger <= 0 {
		next.Stop()
	}
	for len(r.pending) > 0 {
		select {
		case a := <-r.ended:
			r.forget(a)
			if a.failure == None {
				r.won(a)
				return true
			}
			c.attempted(a)
			if len(r.pending) == 0 || ctx.Err() != nil {
				continue
			}
		case <-next.C:
		}
		switch ep := c.besideEndpoint(len(r.pending)); {
		case ep == nil:
		case c.fromPool():
			r.beaten(time.Now())
			return true
		default:
			r.begin(ep)
			next.Reset(ep.Stagger)
		}
	}
	return false
}

// begin has an attempt made by a goroutine, which ends with it.
func (r *portableRace) begin(ep *Endpoint) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	a := &portableAttempt{ep: ep, begun: time.Now()}
	r.pending[a] = cancel
	go func() {
		a.sock, a.failure = r.c.eng.attempt(ctx, ep)
		a.took = max(time.Since(a.begun), 1)
		r.ended <- a
	}()
}

// forget takes an attempt that has ended out of those under way.
func (r *portableRace) forget(a *portableAttempt) {
	r.pending[a](nil)
	delete(r.pending, a)
}

// won gives the connection the socket of an attempt, and ends the others.
func (r *portableRace) won(a *portableAttempt) {
	r.beaten(a.begun)
	r.c.attempted(a)
}

// beaten ends the attempts that are under way and waits for them: one that began at won, or before it, has connected.
func (r *portableRace) beaten(won time.Time) {
	for a, cancel := range r.pending {
		if a.begun.Before(won) {
			cancel(endedBy(Outpaced))
		} else {
			cancel(endedBy(Superseded))
		}
	}
	for len(r.pending) > 0 {
		a := <-r.ended
		if a.sock != nil { // connected in the same instant
			a.sock.SetLinger(0) // the upstream is to see that nobody wants it
			a.sock.Close()
			a.sock = nil
		}
		if a.failure = Superseded; a.begun.Before(won) {
			a.failure = Outpaced
		}
		r.forget(a)
		r.c.attempted(a)
	}
}

// besideEndpoint asks the policy for an endpoint to try beside those under way; nil: there is none.
func (c *portableConn) besideEndpoint(pending int) *Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flow.Pending = uint8(pending)
	ep, _ := c.eng.opts.Handler.Dial(&c.flow)
	c.flow.Pending = 0
	if ep != nil {
		c.flow.Endpoint = ep
		c.flow.Attempts++
	}
	return ep
}

// attempted tells the policy how an attempt ended. The connection has the socket of one that connected.
func (c *portableConn) attempted(a *portableAttempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.flow.Endpoint
	c.flow.Endpoint = a.ep
	switch a.failure {
	case None:
		own = a.ep
		c.ends[upstream], c.connect = a.sock, a.took
	case Outpaced, Superseded:
	default:
		c.flow.Failure = a.failure
	}
	c.eng.opts.Handler.Dialed(&c.flow, a.failure, a.took)
	c.flow.Endpoint = own
}
