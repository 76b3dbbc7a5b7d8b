package relay

import (
	"context"
	"net/netip"
)

// startPortable opens the listeners and begins to accept. An error leaves nothing open.
func startPortable(o Options) (engine, error) {
	e := &portable{opts: o, conns: map[*portableConn]struct{}{}, stopped: make(chan struct{})}
	e.tuning.Store(&o.Tuning)
	for i := range o.Listeners {
		l, err := openPortable(e, &o.Listeners[i])
		if err != nil {
			for _, l := range e.lns {
				l.tcp.Close()
			}
			return nil, err
		}
		e.lns = append(e.lns, l)
	}
	for _, l := range e.lns {
		go l.acceptLoop()
	}
	e.serving.Go(e.watchMemory)
	return e, nil
}

// addrs: see engine.
func (e *portable) addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range e.lns {
		all = append(all, addrPort(l.tcp.Addr()))
	}
	return all
}

// setListeners: see Relay.SetListeners. One change at a time is the caller's care.
func (e *portable) setListeners(next []listening, opened func()) error {
	fresh, err := e.openListeners(next)
	if err != nil {
		return err
	}
	opened()
	var kept, gone []*portableListener
	to := heirs(next)
	for _, l := range e.lns {
		if heir := to[l.ln.Load()]; heir != nil {
			l.ln.Store(heir)
			kept = append(kept, l)
		} else {
			gone = append(gone, l)
		}
	}
	e.lns = append(kept, fresh...)
	for _, l := range fresh {
		go l.acceptLoop()
	}
	stopListeners(gone)
	return nil
}

// openListeners opens those of next that no listener of now goes on as, and notes their addresses. After an error none is open.
func (e *portable) openListeners(next []listening) (fresh []*portableListener, err error) {
	for i := range next {
		if next[i].from != nil {
			continue
		}
		l, err := openPortable(e, next[i].ln)
		if err != nil {
			for _, l := range fresh {
				l.tcp.Close()
			}
			return nil, err
		}
		next[i].addr = addrPort(l.tcp.Addr())
		fresh = append(fresh, l)
	}
	return fresh, nil
}

// stopAccepting: see engine.
func (e *portable) stopAccepting() { stopListeners(e.lns) }

// tune: see engine.
func (e *portable) tune(t Tuning) { e.tuning.Store(&t) }

// closeAll: see engine.
func (e *portable) closeAll(r Reason) { e.closeWhere(func(*Flow) bool { return true }, r) }

// closeWhere: see engine.
func (e *portable) closeWhere(match func(*Flow) bool, r Reason) (n int) {
	for _, c := range e.all() {
		if c.closeIf(match, r) {
			n++
		}
	}
	return n
}

// flows: see engine.
func (e *portable) flows(f func(*Summary)) {
	for _, c := range e.all() {
		c.show(f)
	}
}

// stop: see engine.
func (e *portable) stop() {
	close(e.stopped)
	e.serving.Wait()
}

// alive has no loop to ask: the scheduler of the runtime turns, or this would not run.
func (e *portable) alive(context.Context) error { return nil }

// stats: see engine.
func (e *portable) stats() Stats {
	return Stats{Active: e.active.Load(), AcceptPauses: e.pauses.Load(), Buffered: e.buffered.Load()}
}
