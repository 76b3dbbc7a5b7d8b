package relay

import "net/netip"

// What may change while the relay runs. Nothing here touches a connection that is not asked for.

// SetListeners replaces the listeners. One whose Addr was listened on before keeps its sockets, and with them the
// clients that the kernel has queued; its FD is not looked at. One that is gone takes the clients in its queue and is
// closed. Connections keep the Listener they were accepted by.
//
// opened is called once everything that is new has been opened and before a client comes in by it. An error, a
// *ListenError if a socket could not be opened, leaves everything as it was, and opened is not called then.
func (r *Relay) SetListeners(list []Listener, opened func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return ErrStopped
	}
	next := successors(*r.cur.Load(), list)
	if err := r.eng.setListeners(next, opened); err != nil {
		return err
	}
	for i := range next {
		next[i].from = nil
	}
	r.cur.Store(&next)
	return nil
}

// Addrs returns the address of each listener, in the order of Options or of SetListeners, with the port the kernel chose.
func (r *Relay) Addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range *r.cur.Load() {
		all = append(all, l.addr)
	}
	return all
}

// Addr returns the address of the listener of that name, the zero value if there is none.
func (r *Relay) Addr(name string) netip.AddrPort {
	for _, l := range *r.cur.Load() {
		if l.ln.Name == name {
			return l.addr
		}
	}
	return netip.AddrPort{}
}

// Tune replaces the tuning. Timers that run already keep their end; MaxConnections refuses newcomers only; keepalive
// goes for connections accepted or settled from now on.
func (r *Relay) Tune(t Tuning) {
	t.setDefaults()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.eng.tune(t)
}

// SetWarm replaces the pools of upstream connections; those that stay keep their connections, those of the others are
// closed. It does nothing once accepting was stopped, which closes all.
func (r *Relay) SetWarm(pools []*Warm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.eng.setWarm(pools)
	}
}

// ReleaseWarm closes the connections in pools to endpoints for which match returns true, and has them replaced. Pools that had
// nothing to connect to ask again. match is called as CloseWhere's is.
func (r *Relay) ReleaseWarm(match func(*Endpoint) bool) { r.eng.releaseWarm(match) }

// WarmTotal is how many connections w keeps ready in all.
func (r *Relay) WarmTotal(w *Warm) int { return r.eng.warmTotal(w) }

// CloseWhere ends the connections for which match returns true, for the reason given, and returns how many. match is called on
// the loops, from several at once, and must neither block nor change the flow. Calling CloseWhere or Flows from it, or from
// a Handler, waits for itself.
func (r *Relay) CloseWhere(match func(*Flow) bool, reason Reason) int {
	return r.eng.closeWhere(match, reason)
}

// Flows shows each live connection to f: the summary as if it ended now, with Reason None. It is valid during the call
// only. f is called on the loops, one after the other, and holds each up meanwhile: it must not block.
func (r *Relay) Flows(f func(*Summary)) { r.eng.flows(f) }
