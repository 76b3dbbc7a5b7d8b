package relay

import "net/netip"

// acceptor is a listening socket of a loop.
type acceptor struct {
	fd     int32
	index  int // in loop.lns
	ln     *Listener
	shared bool   // other loops accept from the same socket
	paused bool   // waits for descriptors or memory
	burst  int    // how many to accept in one go
	turn   uint64 // in which it was reported last

	// Of the io_uring engine.
	calls  []acceptCall
	armed  int    // calls that the kernel has
	closed func() // not nil: it is closed, and this called, once the kernel has none
}

// acceptCall is one request for a client, with room for its address: of a client that has reset already, nothing but accept
// tells the address.
type acceptCall struct {
	sa    sockaddr
	armed bool
}

// acceptCalls is how many clients a listener takes a turn. The kernel wakes one call a client.
const acceptCalls = 16

// host is what the engines do differently about listeners.
type host interface {
	// welcome takes an accepted client.
	welcome(fd int32, ln *Listener, from netip.AddrPort)
	// setAccept begins or ends to accept from a listener. It returns false if there is no memory for it.
	setAccept(a *acceptor, on bool) bool
	// retire serves the clients that the kernel has queued for a listener, closes it, and calls closed.
	retire(a *acceptor, closed func())
	// enter takes a connection of another process into a way of serving that needs no registration of its sockets, once the loop begins.
	// false: they are to be watched. The loop stands still.
	enter(c *conn) bool
	// standStill waits until a standstill is over, once no connection has a request with the kernel.
	standStill(s *standstill)
}
