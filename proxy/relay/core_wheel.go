package relay

import "math/bits"

// A wheel holds at most one deadline for each slot of a slab. Setting and clearing take constant time; deadlines are
// rounded up to wheelTick, so that nothing expires early. The layout is the hierarchical timing wheel of Varghese and
// Lauck (1987), with a bitmap a level so that an idle loop can sleep until the next occupied bucket.
type wheel struct {
	tick     uint64 // all deadlines up to this tick have expired
	nodes    []timerNode
	heads    [wheelLevels][wheelSize]uint32 // first slot + 1 of each bucket; 0: empty
	occupied [wheelLevels]uint64
	count    int
}

type timerNode struct {
	at         uint64 // tick
	next, prev uint32 // slot + 1; 0: none
	bucket     uint16 // level<<8 | index + 1 of where it is; 0: not set
}

const (
	wheelTick   = 10 * 1000 * 1000 // nanoseconds: fine enough for timeouts of 100 ms and more
	wheelBits   = 6
	wheelSize   = 1 << wheelBits
	wheelLevels = 4 // 10 ms, 640 ms, 41 s, 44 min a bucket: 46 hours in all
	wheelMax    = 1<<(wheelBits*wheelLevels) - 1
)

// set gives slot the deadline at, in nanoseconds on the clock that advance is called with, instead of the one it had.
func (w *wheel) set(slot uint32, at int64) {
	for int(slot) >= len(w.nodes) {
		w.nodes = append(w.nodes, timerNode{})
	}
	w.clear(slot)
	t := uint64(max(at, 0)+wheelTick-1) / wheelTick
	t = min(max(t, w.tick+1), w.tick+wheelMax)
	w.nodes[slot].at = t
	w.place(slot)
	w.count++
}

// clear takes slot's deadline away, if it has one.
func (w *wheel) clear(slot uint32) {
	if int(slot) < len(w.nodes) && w.nodes[slot].bucket != 0 {
		w.unlink(slot)
		w.count--
	}
}

// place puts a slot whose deadline is set into the bucket that its distance asks for.
func (w *wheel) place(slot uint32) {
	n := &w.nodes[slot]
	level, delta := 0, n.at-w.tick
	for level < wheelLevels-1 && delta >= wheelSize<<(wheelBits*level) {
		level++
	}
	i := n.at >> (wheelBits * level) & (wheelSize - 1)
	head := &w.heads[level][i]
	n.prev, n.next = 0, *head
	if *head != 0 {
		w.nodes[*head-1].prev = slot + 1
	}
	*head = slot + 1
	w.occupied[level] |= 1 << i
	n.bucket = uint16(level<<8|int(i)) + 1
}

// unlink takes a slot out of its bucket.
func (w *wheel) unlink(slot uint32) {
	n := &w.nodes[slot]
	level, i := (n.bucket-1)>>8, (n.bucket-1)&0xff
	if n.prev != 0 {
		w.nodes[n.prev-1].next = n.next
	} else {
		w.heads[level][i] = n.next
		if n.next == 0 {
			w.occupied[level] &^= 1 << i
		}
	}
	if n.next != 0 {
		w.nodes[n.next-1].prev = n.prev
	}
	n.bucket = 0
}

// next returns when advance has something to do, in nanoseconds; false if no deadline is set. It is never later than
// the earliest deadline, and may be earlier where a bucket of a higher level must be spread over lower ones.
func (w *wheel) next() (int64, bool) {
	if w.count == 0 {
		return 0, false
	}
	return int64(w.nextTick()) * wheelTick, true
}

// nextTick returns the first tick at which a bucket is to be looked at.
func (w *wheel) nextTick() uint64 {
	first := ^uint64(0)
	for level := range wheelLevels {
		if w.occupied[level] == 0 {
			continue
		}
		shift := wheelBits * level
		cur := w.tick >> shift
		// Buckets are looked at from the one after the current to the current itself, a full turn later.
		ahead := bits.RotateLeft64(w.occupied[level], -int((cur+1)&(wheelSize-1)))
		first = min(first, (cur+1+uint64(bits.TrailingZeros64(ahead)))<<shift)
	}
	return first
}

// advance calls fire for each slot whose deadline is at or before now. A slot is cleared before fire is called; fire may
// set and clear any slot.
func (w *wheel) advance(now int64, fire func(slot uint32)) {
	limit := uint64(max(now, 0)) / wheelTick
	for w.count > 0 {
		t := w.nextTick()
		if t > limit {
			break
		}
		w.tick = t
		for level := wheelLevels - 1; level > 0; level-- {
			if t&(1<<(wheelBits*level)-1) == 0 {
				w.spread(level, t>>(wheelBits*level)&(wheelSize-1))
			}
		}
		for i := t & (wheelSize - 1); w.heads[0][i] != 0; {
			slot := w.heads[0][i] - 1
			w.unlink(slot)
			w.count--
			fire(slot)
		}
	}
	w.tick = max(w.tick, limit)
}

// spread moves a bucket's slots to lower levels.
func (w *wheel) spread(level int, i uint64) {
	slot := w.heads[level][i]
	w.heads[level][i] = 0
	w.occupied[level] &^= 1 << i
	for slot != 0 {
		next := w.nodes[slot-1].next
		w.place(slot - 1)
		slot = next
	}
}
