package relay

import (
	"cmp"
	"slices"
	"time"
)

// portableStuck is a connection with bytes that a peer does not take.
type portableStuck struct {
	c     *portableConn
	idle  time.Duration
	bytes int64
}

// watchMemory keeps what is held for peers that do not read within Tuning.Buffered until the engine stops: see core.measure.
func (e *portable) watchMemory() {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.measure()
		case <-e.stopped:
			return
		}
	}
}

// measure sums up what stuck connections hold, and ends those that have been stuck for longest where it is too much.
func (e *portable) measure() {
	var stuck []portableStuck
	sum := int64(0)
	for _, c := range e.all() {
		if n := c.pinned(); n > 0 {
			sum += n
			stuck = append(stuck, portableStuck{c, c.idleFor(), n})
		}
	}
	e.buffered.Store(sum)
	limit := e.tuning.Load().Buffered
	if limit <= 0 {
		return
	}
	slices.SortFunc(stuck, func(a, b portableStuck) int { return cmp.Compare(b.idle, a.idle) })
	for _, s := range stuck {
		if sum <= limit {
			return
		}
		sum -= s.bytes
		s.c.closeIf(func(*Flow) bool { return true }, LimitMemory)
	}
}

// pinned is how many bytes the kernel holds for a connection one of whose halves waits in a write; 0: none does.
func (c *portableConn) pinned() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.ends[upstream] == nil || !c.halves[client].busy.Load() && !c.halves[upstream].busy.Load() {
		return 0
	}
	for _, sock := range c.ends {
		n += queuedFor(sock)
	}
	return n
}
