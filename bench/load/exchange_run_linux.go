package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// run keeps a number of exchanges under way, or begins them at a pace, until the phase is draining and none is under way.
func (x *exchanger) run(phase *atomic.Int32) error {
	paced, next := x.g.Every > 0, wire.Now()
	if !paced {
		if err := x.beginAll(); err != nil {
			return err
		}
	}
	var deadline time.Time
	for {
		wait, ending := int64(time.Second), phase.Load() == draining
		if paced && !ending {
			now := wire.Now()
			for ; next <= now; next += uint64(x.g.Every) {
				if err := x.beat(); err != nil {
					return err
				}
			}
			wait = int64(next - now)
		}
		switch {
		case x.busy == 0 && (ending || !paced):
			return nil
		case ending && deadline.IsZero():
			deadline = time.Now().Add(drainTimeout)
		case ending && time.Now().After(deadline):
			return fmt.Errorf("%d exchanges hang: no answer %v after the window", x.busy, drainTimeout)
		}
		for _, ev := range x.poll.Wait(wait) {
			if err := x.handle(phase.Load(), ev); err != nil {
				return err
			}
		}
	}
}

// beginAll begins as many exchanges as are to be under way. Each one that is over begins the next.
func (x *exchanger) beginAll() error {
	inflight := x.g.Inflight
	if inflight == 0 {
		inflight = len(x.peers)
	}
	for range min(inflight, len(x.peers)) {
		if err := x.startNext(); err != nil {
			return err
		}
	}
	return nil
}

// beat begins an exchange whether those before are over or not, as clients do who do not know of each other. Where every connection
// is busy it is left out: the throughput shows it.
func (x *exchanger) beat() error {
	if x.busy == len(x.peers) {
		return nil
	}
	return x.startNext()
}

// handle handles an event of a window.
func (x *exchanger) handle(phase int32, ev sock.Event) error {
	done, err := x.event(ev)
	if err != nil || !done {
		return err
	}
	return x.completed(phase, &x.peers[ev.Fd])
}

func (x *exchanger) completed(phase int32, p *peer) error {
	x.ops.Add(1)
	if phase == measuring {
		x.hist.Add(wire.Now() - p.start)
	}
	if phase == draining || x.g.Every > 0 {
		return nil
	}
	return x.startNext()
}

// startNext begins an exchange on the next connection that has none under way.
func (x *exchanger) startNext() error {
	for range x.order {
		slot := x.order[x.at]
		if x.at++; x.at == len(x.order) {
			x.at = 0
		}
		if s := x.peers[slot].state; s == idle || s == free {
			return x.begin(slot)
		}
	}
	return errors.New("every connection is busy")
}
