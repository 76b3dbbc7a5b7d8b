package relay

import (
	"errors"
	"net/netip"
)

// What may change while the relay runs. Nothing here touches a connection that is not asked for.

// listening is a listener at work.
type listening struct {
	ln   *Listener
	addr netip.AddrPort // with the port the kernel chose
	from *Listener      // before a change: whose sockets it takes over; nil: they are to be opened
}

// ErrStopped is returned by SetListeners once accepting was stopped.
var ErrStopped = errors.New("relay does not accept any more")

// begin notes the listeners that the engine has opened.
func (r *Relay) begin(list []Listener) {
	all := make([]listening, len(list))
	for i, addr := range r.eng.addrs() {
		all[i] = listening{ln: &list[i], addr: addr}
	}
	r.cur.Store(&all)
}

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

// successors joins new listeners to those whose sockets they take over: of the same name and address, else of the same
// address. Port 0 is the same only under the same name.
func successors(old []listening, list []Listener) []listening {
	next := make([]listening, len(list))
	taken := make(map[*Listener]bool)
	join := func(same func(was, is *Listener) bool) {
		for i := range next {
			for _, o := range old {
				if next[i].from == nil && !taken[o.ln] && o.ln.Addr == next[i].ln.Addr && same(o.ln, next[i].ln) {
					next[i].from, next[i].addr = o.ln, o.addr
					taken[o.ln] = true
				}
			}
		}
	}
	for i := range list {
		ln := list[i] // a copy: the caller's slice is the caller's
		next[i].ln = &ln
	}
	join(func(was, is *Listener) bool { return was.Name == is.Name })
	join(func(was, _ *Listener) bool { return was.Addr.Port() != 0 })
	return next
}

// heirs maps listeners to those that take over their sockets.
func heirs(next []listening) map[*Listener]*Listener {
	to := make(map[*Listener]*Listener)
	for _, n := range next {
		if n.from != nil {
			to[n.from] = n.ln
		}
	}
	return to
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

// ReleaseWarm closes the connections in pools to the endpoints that match says yes to, and has them replaced. Pools that had
// nothing to connect to ask again. match is called as CloseWhere's is.
func (r *Relay) ReleaseWarm(match func(*Endpoint) bool) { r.eng.releaseWarm(match) }

// WarmTotal is how many connections w keeps ready in all.
func (r *Relay) WarmTotal(w *Warm) int { return r.eng.warmTotal(w) }

// CloseWhere ends the connections that match says yes to, for the reason given, and returns how many. match is called on
// the loops, from several at once, and must neither block nor change the flow. Calling CloseWhere or Flows from it, or from
// a Handler, waits for itself.
func (r *Relay) CloseWhere(match func(*Flow) bool, reason Reason) int {
	return r.eng.closeWhere(match, reason)
}

// Flows shows each live connection to f: the summary as if it ended now, with Reason None. It is valid during the call
// only. f is called on the loops, one after the other, and holds each up meanwhile: it must not block.
func (r *Relay) Flows(f func(*Summary)) { r.eng.flows(f) }
