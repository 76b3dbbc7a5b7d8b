package relay

import (
	"context"
	"time"
)

// look: see Relay.Look. There is no loop to hold up: each connection is locked for as long as it takes to look at it.
func (e *portable) look(ctx context.Context, ready func(), f func(*Look)) (time.Duration, error) {
	for i, c := range e.all() {
		if i%LookBatch == 0 {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			ready()
		}
		c.look(f)
	}
	return 0, nil
}

// closeOne: see Relay.CloseOne.
func (e *portable) closeOne(id uint64, r Reason) bool {
	return e.closeWhere(func(f *Flow) bool { return f.ID == id }, r) > 0
}

// lastID: see engine.
func (e *portable) lastID() uint64 { return e.ids.Load() }

// look gives f the connection as of now.
func (c *portableConn) look(f func(*Look)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	k := Look{Summary: c.summary(None), State: c.lookState()}
	k.Idle = max(time.Since(c.opened)-time.Duration(c.active.Load()), 0)
	for s, sock := range c.ends {
		if sock == nil {
			continue
		}
		legBy(&k.Legs[s], sock)
		if c.halves[side(s).other()].busy.Load() {
			k.Legs[s].Held = 1 // a write waits; how much of it is left only the runtime knows
		}
	}
	k.judge()
	f(&k)
}

// lookState says where the connection is in its life. The caller holds mu.
func (c *portableConn) lookState() LookState {
	// A direction has ended once its FIN was passed on.
	up, down := c.finSent[upstream].Load(), c.finSent[client].Load()
	switch {
	case up && down, c.lingers.Load():
		return LookClosing
	case up:
		return LookHalfClosedUp
	case down:
		return LookHalfClosedDown
	case c.ends[upstream] != nil:
		return LookRelaying
	case c.flow.Preface && c.flow.Attempts == 0:
		return LookPreface
	}
	return LookDialing
}
