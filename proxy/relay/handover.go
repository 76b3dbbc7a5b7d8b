package relay

import (
	"context"
	"fmt"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// How a relay's connections pass to the relay of another process. The old relay is frozen (Relay.Freeze). It exports its
// connections as plain values and descriptors, and then goes on (Resume) or gives everything up (Release). The new relay starts
// frozen (Options.Adopt, Relay.Adopted), is given the values (Take), and then begins (Begin) or gives everything up (Release).
//
// A connection passes from one epoll instance to another. The io_uring engine takes its connections out of the ring first: a
// request that the kernel has would go on reading.

// Frozen is a relay whose loops stand still. Until Resume, Begin or Release the other methods of the relay wait. It is for one
// goroutine at a time.
type Frozen struct {
	r     *Relay
	c     carrier
	m     Mover
	began func() // nil: nothing is to be called
}

// carrier returns the engine as one that hands connections over, or an error that says why it can't.
func (r *Relay) carrier() (carrier, Mover, error) {
	c, ok := r.eng.(carrier)
	if !ok {
		return nil, nil, fmt.Errorf("%w by the engine %s: use epoll or uring", ErrNoHandover, r.kind)
	}
	m, ok := r.handler.(Mover)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the handler is no Mover", ErrNoHandover)
	}
	return c, m, nil
}

// Sockets returns the listening sockets, one for each listener and loop. They stay the relay's.
func (r *Relay) Sockets() ([]handoff.Socket, error) {
	c, _, err := r.carrier()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, fmt.Errorf("%w: %w", ErrNoHandover, ErrStopped)
	}
	return c.listeningSockets(), nil
}

// Base returns the beginning of the loops' clock, in nanoseconds of CLOCK_MONOTONIC; 0 if connections can't be handed over.
func (r *Relay) Base() int64 {
	if c, ok := r.eng.(carrier); ok {
		return c.base()
	}
	return 0
}

// CountOn adds the counters among the figures of another process to this relay's: AcceptPauses, and Busy by loop.
func (r *Relay) CountOn(s Stats) {
	if c, ok := r.eng.(carrier); ok {
		c.countOn(s)
	}
}

// Freeze stops all loops at a point where each connection can be exported: no request of one is with the kernel. If ctx ends
// before that, the loops go on and the error says so. Nothing moves until Resume or Release, so the caller calls one of them soon.
func (r *Relay) Freeze(ctx context.Context) (*Frozen, error) {
	c, m, err := r.carrier()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrNoHandover, ErrStopped)
	}
	if err := c.freeze(ctx); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	return &Frozen{r: r, c: c, m: m}, nil
}

// Adopted returns the frozen state in which a relay with Options.Adopt starts; nil without.
func (r *Relay) Adopted() *Frozen { return r.adopted }

// LastID is the highest Flow.ID given so far.
func (f *Frozen) LastID() uint64 { return f.c.lastID() }

// Count returns how many connections Export names.
func (f *Frozen) Count() (n int) {
	for _, l := range f.c.cores() {
		l.conns.each(func(c *conn) {
			if c.movable() {
				n++
			}
		})
	}
	return n
}

// Export calls emit with each connection. The descriptors and bytes in it stay the relay's: emit may keep the values until Resume or
// Release. An error of emit ends it.
func (f *Frozen) Export(emit func(*handoff.Conn) error) (err error) {
	base := f.c.base()
	for _, l := range f.c.cores() {
		l.conns.each(func(c *conn) {
			if err == nil && c.movable() {
				err = emit(l.export(c, base, f.m))
			}
		})
	}
	return err
}

// Resume lets the loops go on as if nothing had happened.
func (f *Frozen) Resume() {
	f.c.thaw()
	f.r.mu.Unlock()
}

// SetPools names the pools that Take puts waiting connections into. It is called before the first Take. Relay.SetWarm with the
// same pools fills them up after Begin.
func (f *Frozen) SetPools(pools []*Warm) { f.c.takePools(pools) }

// Take adds a connection of the other process. Its descriptors are the relay's from now on, also after an error: it is closed
// then, which peers do not notice while the other process has it.
func (f *Frozen) Take(v *handoff.Conn) error {
	err := f.c.take(v, f.m)
	if err != nil {
		v.CloseFDs()
		return fmt.Errorf("connection %d: %w", v.ID, err)
	}
	return nil
}

// Taken returns once the kernel watches the sockets of all connections that were taken, which goes on beside Take. The error says that it
// has no room for some: Begin closes these.
func (f *Frozen) Taken() error { return f.c.watched() }

// Begin lets the loops run and accept. lastID is LastID of the other process.
func (f *Frozen) Begin(lastID uint64) {
	f.c.setLastID(lastID)
	f.Resume()
	if f.began != nil {
		f.began()
	}
}

// Release ends the relay because another process has its connections and listeners. All descriptors are closed without a FIN or
// a reset as long as the other process has them; the handler hears of no end. Attempts for pools are given up, as Keeper.Tried is
// told. The relay's other methods do nothing from now on.
func (f *Frozen) Release() {
	f.r.once.Do(func() {})
	f.r.stopped = true
	f.c.giveUp()
	f.r.mu.Unlock()
}
