package proxy

import (
	"net/netip"
	"sync"
)

// egress is the public address that this instance's connections leave from, as far as somebody tells it.
type egress struct {
	mu   sync.Mutex
	addr netip.Addr
	n    int  // which one it is: 0, 1, 2 …
	once bool // Server.Admitted held once with this address
}

// current returns the number of the address in use.
func (e *egress) current() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// set takes the address in use. It reports whether it is another one than before.
func (e *egress) set(addr netip.Addr) (another bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.addr == addr {
		return false
	}
	e.addr, e.once = addr, false
	e.n++
	return true
}

// held returns whether Server.Admitted held once with this address, and notes now if it does.
func (e *egress) held(now bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.once = e.once || now
	return e.once
}
