package relay

import (
	"cmp"
	"runtime/debug"
	"slices"
	"time"
)

// What is held for peers that do not read: in buffers and pipes, and by the kernel on both legs. A limit over all loops
// keeps them from taking the memory that every other connection of the host needs.

const (
	measureEvery = time.Second            // while a connection is stuck
	measureOften = 250 * time.Millisecond // while half of the limit is used
	trimEvery    = 5 * time.Second        // while free buffers are left that nobody needed
	collectLeast = 1 << 20                // bytes of free buffers that are worth a collection
)

// measureLater has what stuck connections hold measured, unless that is to come already.
func (l *core) measureLater() {
	if !l.measuring {
		l.measuring = true
		l.io.later(measureEvery, l.measure)
	}
}

// measure sums up what stuck connections hold, and ends those that have been stuck for longest where it is too much. It
// is called again for as long as there are any.
func (l *core) measure() {
	l.stuckOnes = l.stuckOnes[:0]
	sum := int64(0)
	l.conns.each(func(c *conn) {
		if c.phase == phaseRelaying && c.stuck() {
			n := l.pinned(c)
			sum += n
			l.stuckOnes = append(l.stuckOnes, stuckConn{c.slot, c.active, n})
		}
	})
	all := l.shared.buffered.Add(sum - l.buffered)
	l.buffered = sum
	limit := l.opts.Buffered
	if limit > 0 && all > limit {
		l.relieve(int64(float64(all-limit) * float64(sum) / float64(all)))
	}
	switch l.measuring = len(l.stuckOnes) > 0; {
	case !l.measuring:
		l.trimLater()
	case limit > 0 && all > limit/2:
		l.io.later(measureOften, l.measure)
	default:
		l.io.later(measureEvery, l.measure)
	}
}

// relieve ends the connections that have been stuck for longest until they held excess bytes together.
func (l *core) relieve(excess int64) {
	slices.SortFunc(l.stuckOnes, func(a, b stuckConn) int { return cmp.Compare(a.since, b.since) })
	for _, s := range l.stuckOnes {
		if excess <= 0 {
			return
		}
		excess -= s.bytes
		l.buffered -= s.bytes
		l.shared.buffered.Add(-s.bytes)
		l.finish(l.conns.at(s.slot), LimitMemory)
	}
}

// pinned is how many bytes are held for a connection, the kernel's included.
func (l *core) pinned(c *conn) (n int64) {
	for _, s := range [...]side{client, upstream} {
		n += l.io.queued(c, s) + int64(c.halves[s].inPipe)
		if b := c.halves[s].hold; b != nil {
			n += int64(len(b.b))
		}
	}
	return n
}

// trimLater has free buffers given back that are not needed, unless that is to come already.
func (l *core) trimLater() {
	if !l.trimming && l.bufs.free() >= collectLeast {
		l.trimming = true
		l.bufs.unneeded() // what is free now may be needed in a moment
		l.io.later(trimEvery, l.trim)
	}
}

// trim gives back the free buffers that were not needed since it was called last.
func (l *core) trim() {
	freed := l.bufs.unneeded()
	l.trimming = freed > 0 && l.bufs.free() >= collectLeast
	if l.trimming {
		l.io.later(trimEvery, l.trim)
	}
	if freed >= collectLeast {
		l.shared.collect()
	}
}

// What shared.collecting is.
const (
	collectNot   = iota
	collectNow   // memory is being given back
	collectAgain // and once more after that: another loop has freed some meanwhile
)

// collect gives free memory back to the system, in a goroutine of its own that ends with that. The collector runs every two minutes where
// nothing is allocated, and returns memory over minutes after that.
func (s *shared) collect() {
	if s.collecting.CompareAndSwap(collectNow, collectAgain) || !s.collecting.CompareAndSwap(collectNot, collectNow) {
		return
	}
	time.AfterFunc(0, func() {
		debug.FreeOSMemory()
		for !s.collecting.CompareAndSwap(collectNow, collectNot) {
			s.collecting.Store(collectNow)
			debug.FreeOSMemory()
		}
	})
}
