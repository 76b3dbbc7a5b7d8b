package eip

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Policy says what happens to the address when it is no longer wanted.
type Policy string

// The policies.
const (
	ReleaseOnShutdown Policy = "shutdown" // it goes back to the pool
	ReleaseNever      Policy = "never"    // it stays on the interface
)

// Options configure a Keeper. Client, Selector, Interface and PrivateIP are required.
type Options struct {
	Client    Client
	Selector  Selector
	Interface string     // our network interface, eni-…
	PrivateIP netip.Addr // the private IPv4 address on it that the public one is for

	// PublicIPv4 asks the instance metadata for public-ipv4; the zero Addr means none. It may lag behind EC2 and costs no call
	// of EC2. nil: the metadata are not asked.
	PublicIPv4 func(context.Context) (netip.Addr, error)

	VerifyInterval time.Duration // between two verifications that the address is still ours; 0: 30 s
	Release        Policy        // empty: ReleaseOnShutdown
	Required       bool          // Check returns an error while no address is held
	Logger         *zap.Logger   // nil: none

	// OnEvent is called after each change, in order, from the goroutine that made it: it must return soon and must not
	// call Run or Release. nil: none.
	OnEvent func(Event)
}

// EventKind is what happened to the address.
type EventKind string

// The events.
const (
	Claimed  EventKind = "claimed"  // associated by us
	Found    EventKind = "found"    // it was on our interface already, after a restart or a manual association
	Lost     EventKind = "lost"     // taken away by somebody, or deleted
	Released EventKind = "released" // released by us
)

// Event is one change.
type Event struct {
	Kind EventKind
	Hold Hold // the address that was gained or lost
}

// Keeper holds one address while one is wanted. At first none is wanted: call Want. Its methods are safe for concurrent use.
type Keeper struct {
	o     Options
	log   *zap.Logger
	stats stats
	wake  chan struct{} // of size 1: Want has changed
	calls chan struct{} // of size 1, a lock that can be waited for with a context: its holder calls EC2 about our interface

	mu         sync.Mutex
	state      Status
	cancelStep func() // ends the calls of Run's step; nil: no step is under way

	// The holder of the calls lock owns these.
	callLimit   time.Duration // of one call
	scan        scan
	unconfirmed unconfirmed
	ended       string // the association that we ended last: a listing may still show it
	misses      int    // how often in a row EC2, or the metadata in its place, did not show the held address
	listedOnce  bool   // a listing has shown whether our interface has an address

	cancelManual func() // ends a manual claim; nil in a daemon, which retries for ever
}

// listingDelay is how long a listing is not believed where it contradicts what we did ourselves. EC2 promises no bound; it takes
// seconds in practice.
const listingDelay = 10 * time.Second

// New returns a Keeper that wants no address yet and does nothing until Run.
func New(o Options) *Keeper {
	if o.VerifyInterval <= 0 {
		o.VerifyInterval = 30 * time.Second
	}
	if o.Release == "" {
		o.Release = ReleaseOnShutdown
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return &Keeper{o: o, log: o.Logger, wake: make(chan struct{}, 1), calls: make(chan struct{}, 1), callLimit: callTimeout, scan: newScan()}
}
