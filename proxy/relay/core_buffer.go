package relay

import "math/bits"

// buffer holds the bytes of a half between the read and the write. At most one is held a half, so that a slow receiver
// costs a bounded amount of memory.
type buffer struct {
	b        []byte // of the class's size
	from, to int    // the bytes held are b[from:to]
	class    uint8
	next     *buffer
}

// bytes returns what the buffer holds. It is valid until the buffer changes.
func (b *buffer) bytes() []byte { return b.b[b.from:b.to] }

// buffers keeps free buffers of a loop by class, so that a steady load allocates none.
type buffers struct {
	list  [bufferClasses]*buffer
	kept  [bufferClasses]int
	least [bufferClasses]int // the fewest that were kept since unneeded was called
	inUse int
}

const (
	bufferClasses = 6        // 4, 8, 16, 32, 64 and 128 KiB; the last for a preface of MaxPreface bytes and one more receive
	bufferMin     = 4 << 10  // bytes of the smallest class
	bufferMax     = 64 << 10 // the most that one read takes, and that is held for a destination
	bufferKeep    = 4 << 20  // bytes a class keeps free at most; more is left to the collector
)

// bufferClass returns the class of the smallest buffer that takes n bytes.
func bufferClass(n int) uint8 {
	return uint8(bits.Len(uint((max(n, 1) - 1) / bufferMin)))
}

// get returns an empty buffer for n bytes, n ≤ 2 × bufferMax.
func (p *buffers) get(n int) *buffer {
	k := bufferClass(n)
	p.inUse++
	b := p.list[k]
	if b == nil {
		return &buffer{b: make([]byte, bufferMin<<k), class: k}
	}
	p.list[k] = b.next
	p.kept[k]--
	p.least[k] = min(p.least[k], p.kept[k])
	b.next = nil
	return b
}

// put takes a buffer back.
func (p *buffers) put(b *buffer) {
	p.inUse--
	b.from, b.to = 0, 0
	if (p.kept[b.class]+1)*len(b.b) > bufferKeep {
		return
	}
	p.kept[b.class]++
	b.next = p.list[b.class]
	p.list[b.class] = b
}

// free is how many bytes are kept free.
func (p *buffers) free() (n int) {
	for k, kept := range p.kept {
		n += kept * bufferMin << k
	}
	return n
}

// unneeded drops the free buffers that were not asked for since it was called last, and returns their bytes.
func (p *buffers) unneeded() (n int) {
	for k := range p.list {
		for range p.least[k] {
			p.list[k] = p.list[k].next
			p.kept[k]--
			n += bufferMin << k
		}
		p.least[k] = p.kept[k]
	}
	return n
}
