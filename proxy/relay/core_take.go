package relay

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// What plain values make of an empty connection: the reverse of core_export.go.

// fillFrom gives an empty connection the values of v, but for what the engine and the policy add. base is the beginning of the
// loop's clock.
func (l *core) fillFrom(c *conn, v *handoff.Conn, base int64) error {
	phase, err := wordIn(phaseWords, v.Phase, "phase")
	proof, err2 := wordIn(proofWords, v.Proof, "proof")
	event, err3 := wordIn(eventWords, cmp.Or(v.BrokenBy, eventWords[0]), "event")
	err = errors.Join(err, err2, err3, c.halves[client].take(&v.Upload, &l.bufs), c.halves[upstream].take(&v.Download, &l.bufs))
	c.ends[client].take(&v.Near)
	c.ends[upstream].take(&v.Far)
	if err != nil {
		return err
	}
	c.phase, c.mode = phaseNumber(phase), modeReady
	c.proof, c.deathEvent = proofNumber(proof), halfEvent(event)
	c.reason, c.closed, c.expired = reasonNamed(v.Reason), reasonNamed(v.Closed), reasonNamed(v.Expired)
	c.opened, c.began, c.active = shifted(v.Opened, -base), shifted(v.Began, -base), shifted(v.Active, -base)
	c.expires, c.took, c.late, c.failed = shifted(v.Expires, -base), v.Took, v.Late, v.Failed
	if v.LingerUpstream {
		c.linger = upstream
	}
	c.replay = bufferOf(v.Replay, &l.bufs)
	c.flow = Flow{
		ID: v.ID, Loop: l.id, Client: v.Client, Attempts: v.Attempts, Failure: reasonNamed(v.Failure),
		Preface: v.Preface, Silent: reasonNamed(v.Silent), Warm: v.Warm, Stale: v.Stale,
	}
	l.note(c, nil, [2]debt{client: takeDebt(&v.Near.Owed, base), upstream: takeDebt(&v.Far.Owed, base)})
	return c.plausible(v)
}

// The words are listed by number, so these only change the type.
func phaseNumber(i int) phase { return phase(i) }

// proofNumber is as phaseNumber.
func proofNumber(i int) proof { return proof(i) }

// take is the reverse of export. The events of its registration tell what an end can do, unless more is known of it.
func (e *end) take(v *handoff.End) {
	*e = end{fd: int32(v.FD), hup: v.HUP, reset: v.Reset, urgent: v.Urgent, fin: v.FIN, lost: v.Lost}
	e.rd = e.hup || e.reset || e.urgent
	if v.FD <= 0 {
		e.fd = -1
	}
}

// take is the reverse of export, but for the pipe. The buffer is one of bufs.
func (h *half) take(v *handoff.Half, bufs *buffers) error {
	state, err := wordIn(halfWords, v.State, "state of a half")
	if err != nil {
		return err
	}
	if len(v.Held) > 2*bufferMax || v.Piped < 0 || v.Bulk > uint8(bulkProved) || (v.Piped > 0) != (v.PipeR > 0 && v.PipeW > 0) {
		return errors.New("the values of a half do not fit together")
	}
	*h = half{state: halfState(state), streak: v.Streak, splice: v.Splice, bulk: bulk(v.Bulk), bytes: v.Bytes}
	h.hold = bufferOf(v.Held, bufs)
	return nil
}

// bufferOf returns a buffer with b in it; nil if b is empty.
func bufferOf(b []byte, bufs *buffers) *buffer {
	if len(b) == 0 {
		return nil
	}
	h := bufs.get(len(b))
	h.to = copy(h.b, b)
	return h
}

// takeDebt is the reverse of debt.export.
func takeDebt(v *handoff.Owed, base int64) debt {
	return debt{bytes: v.Bytes, since: shifted(v.Since, -base), closed: v.Closed}
}

// plausible returns an error for a connection that lacks something it cannot be without.
func (c *conn) plausible(v *handoff.Conn) error {
	near, far := c.ends[client].fd >= 0, c.ends[upstream].fd >= 0
	switch {
	case c.phase == phaseFree:
		return errors.New("it has no phase")
	case c.phase == phaseWarm && (near || !far):
		return errors.New("a connection of a pool has an upstream and no client")
	case c.phase != phaseWarm && !near:
		return errors.New("it has no client")
	case (c.phase == phaseRelaying || c.phase == phaseLingering) && !far:
		return errors.New("it has no upstream")
	case far && v.Endpoint == nil:
		return errors.New("its upstream has no address")
	case v.Attempts > 0 && v.Endpoint == nil && (v.Session == nil || v.Session.Upstream == ""):
		return errors.New("it was dialed, and has no upstream")
	case len(v.Replay) > maxReplay:
		return errors.New("it remembers too much")
	}
	return nil
}

// takePolicy adds what the policy knows of a connection. watch has the events of an attempt beside its own reported.
func (l *core) takePolicy(c *conn, v *handoff.Conn, base int64, m Mover, watch func(*conn) bool) error {
	c.flow.Listener = m.TakeListener(v.Listener)
	if v.Endpoint != nil {
		c.flow.Endpoint = m.TakeEndpoint(*v.Endpoint, v.Listener, c.ends[upstream].fd >= 0)
		if c.flow.Endpoint == nil {
			return fmt.Errorf("upstream %q is not known here", v.Endpoint.Upstream)
		}
	}
	for i := range v.Beside {
		if err := l.takeAttempt(c, v, &v.Beside[i], base, m, watch); err != nil {
			return err
		}
	}
	m.TakeFlow(&c.flow, v.Session)
	l.shared.active.Add(1)
	return nil
}

// takeAttempt gives a connection an attempt beside its own.
func (l *core) takeAttempt(c *conn, v *handoff.Conn, b *handoff.Attempt, base int64, m Mover, watch func(*conn) bool) error {
	ep := m.TakeEndpoint(b.Endpoint, v.Listener, true)
	if ep == nil || b.FD <= 0 || c.phase != phaseDialing {
		return fmt.Errorf("the attempt to connect to %s does not fit", b.Endpoint.Addr)
	}
	if c.race == nil {
		c.race = &race{owner: c}
	}
	a := l.conns.get()
	a.flow, a.race, a.racer = c.flow, c.race, true
	a.flow.Endpoint = ep
	a.phase, a.mode = phaseDialing, modeReady
	a.ends[client].fd, a.ends[upstream].fd = -1, int32(b.FD)
	a.began, a.expires = shifted(b.Began, -base), shifted(b.Expires, -base)
	c.race.beside = append(c.race.beside, a)
	if !watch(a) {
		return errNoWatch
	}
	l.timers.set(a.slot, a.expires)
	return nil
}

// errNoWatch is the error for a connection whose sockets can't be registered.
var errNoWatch = errors.New("the kernel has no room to watch its sockets")

// takeWarm puts a connection that waits for a client into its pool. It returns false if it is not wanted here.
func (l *core) takeWarm(c *conn, v *handoff.Conn, m Mover) bool {
	ep := m.TakeWarm(*v.Endpoint)
	if ep == nil {
		return false
	}
	p := l.poolOf(ep.Warm)
	if p == nil || len(p.ready) >= p.want {
		ep.Warm.Keeper.Left(l.id, ep, LeftReleased)
		return false
	}
	c.flow, c.pooled = Flow{Loop: l.id, Endpoint: ep, Tag: p}, true
	p.sure = true
	p.ready = append(p.ready, c)
	return true
}

// drop frees what a connection holds but for its sockets.
func (l *core) drop(c *conn) {
	l.timers.clear(c.slot)
	delete(l.debts, c.slot)
	l.io.release(&c.halves[client])
	l.io.release(&c.halves[upstream])
	l.markProved(c)
	l.conns.put(c)
}
