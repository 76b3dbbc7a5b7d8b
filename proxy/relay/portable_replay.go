package relay

import "time"

// What a connection of the portable engine does about an upstream's connection from a pool, which may be dead.

// halfReplaced: the upstream's connection was from a pool and proved dead. Not among the states of core_half.go, where the
// connection is replaced at once.
const halfReplaced = halfStates

// fromPool gives the connection an upstream from the pool of its endpoint, if there is one.
func (c *portableConn) fromPool() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flow.Endpoint.Warm == nil || c.flow.Stale {
		return false
	}
	p := c.eng.poolOf(c.flow.Endpoint.Warm)
	if p == nil {
		return false
	}
	sock := p.take(&c.flow)
	if sock == nil {
		return false
	}
	c.ends[upstream], c.connect = sock, 0
	c.flow.Warm = true
	c.proof.Store(uint32(unproved))
	c.eng.opts.Handler.Dialed(&c.flow, None, 1)
	return true
}

// remember keeps what is about to be sent to an upstream that is unproved. It returns false, having kept it, if that one
// is known to be dead: it is not to be sent then.
func (c *portableConn) remember(b []byte) bool {
	switch proof(c.proof.Load()) {
	case proved:
		return true
	case unproved:
		if len(c.replay)+len(b) <= maxReplay {
			c.replay = append(c.replay, b...)
			return true
		}
		if c.proof.CompareAndSwap(uint32(unproved), uint32(proved)) {
			c.replay = nil
			return true
		}
		if !c.disproved() { // an answer came in between
			return true
		}
	}
	c.replay = append(c.replay, b...)
	return false
}

// proveAlive notes a byte of the upstream.
func (c *portableConn) proveAlive() {
	if c.proof.CompareAndSwap(uint32(unproved), uint32(proved)) {
		if p := c.eng.poolOf(c.flow.Endpoint.Warm); p != nil {
			p.good()
		}
	}
}

// proveDead notes that the upstream is gone. It returns true if the connection is to be replaced.
func (c *portableConn) proveDead() bool {
	c.proof.CompareAndSwap(uint32(unproved), uint32(disproved))
	return c.disproved()
}

// disproved reports whether the upstream's connection was from a pool and proved dead.
func (c *portableConn) disproved() bool { return proof(c.proof.Load()) == disproved }

// replace closes an upstream that proved dead, and returns what the next one is to be sent first. Neither half runs.
func (c *portableConn) replace() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[upstream].SetLinger(0)
	c.ends[upstream].Close()
	c.ends[upstream], c.connect = nil, 0
	c.ends[client].SetDeadline(time.Time{})
	c.proof.Store(uint32(proved))
	for s := range c.halves {
		c.halves[s].bytes.Store(0)
		c.halves[s].held, c.halves[s].state = 0, halfOpen
	}
	c.broken[upstream].Store(false)
	c.finSent[upstream].Store(false)
	c.flow.Warm, c.flow.Stale, c.flow.Failure = false, true, None
	c.flow.Endpoint.Warm.Keeper.Left(c.flow.Loop, c.flow.Endpoint, LeftDead)
	again := c.replay
	c.replay = nil
	return again
}
