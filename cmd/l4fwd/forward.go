package main

import (
	"context"
	"net/netip"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// forwarder is a running proxy.Server; the tests put another one in its place.
type forwarder interface {
	Addrs() []netip.AddrPort     // in the order of Options.Listeners
	ListenersReady() error       // nil: accepting; else why not
	UpstreamsReady() error       // nil: an upstream, and each that is required, has a usable address; else why not
	UpstreamNotes() []string     // what is not well with any upstream, one line each
	Admitted(netip.Addr) error   // nil: the far end admits connections from this public address; else why not
	AdmissionNotes() []string    // which upstreams refuse it, one line each
	Alive(context.Context) error // nil once every loop has turned
	CloseWarm()                  // no connection is kept warm any more
	StopAccepting()              // open connections go on
	Wait(context.Context) error  // nil when no connection is open
	Close(relay.Reason)          // ends everything
	// Reload puts other options in place; an error has changed nothing.
	Reload(context.Context, proxy.Options) error
	Status() proxy.Status
	Stats() proxy.Stats
}
