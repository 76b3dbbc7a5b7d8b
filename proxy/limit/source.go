package limit

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Ticket is what a connection holds of its source's limit. The zero value holds nothing.
type Ticket struct{ key uint64 }

// ticketOf returns the ticket of a source. An IPv6 client has a /64 for itself, so the /64 counts. IPv4 addresses are put
// into 0:1::/32 of that space, which is not routed.
func ticketOf(a netip.Addr) Ticket {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return Ticket{1<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	// A key must not be zero, so ::/64 gets the key of 0:0:0:1::/64; neither is routed.
	return Ticket{max(binary.BigEndian.Uint64(b[:8]), 1)}
}

const (
	shardBits = 6  // 64 locks: loops rarely meet, unless one source floods
	shrinkAt  = 64 // a shard that had more entries gives its memory back once it is empty
)

// seed prevents clients from choosing sources that all fall into one shard.
var seed = rand.Uint64() | 1

// sources counts the connections of each source that has any. A source is forgotten with its last connection, so there are
// never more entries than connections: a flood of addresses that are refused, or that leave, costs no memory afterwards.
type sources struct {
	max    atomic.Int64
	_      [56]byte
	shards [1 << shardBits]shard
}

type shard struct {
	mu   sync.Mutex
	open map[uint64]int64
	peak int
	_    [40]byte // a cache line of its own
}

// shard returns the part of the table that has the ticket.
func (s *sources) shard(t Ticket) *shard {
	hi, lo := bits.Mul64(t.key^seed, 0x9e3779b97f4a7c15)
	return &s.shards[(hi^lo)>>(64-shardBits)]
}

// acquire counts a connection of the source and returns true, unless the source has as many as most.
func (s *sources) acquire(t Ticket, most int64) bool {
	h := s.shard(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.open[t.key]
	if n >= most {
		return false
	}
	if h.open == nil {
		h.open = make(map[uint64]int64)
	}
	h.open[t.key] = n + 1
	h.peak = max(h.peak, len(h.open))
	return true
}

// release ends what acquire counted.
func (s *sources) release(t Ticket) {
	h := s.shard(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.open[t.key]; n > 1 {
		h.open[t.key] = n - 1
		return
	}
	delete(h.open, t.key)
	if len(h.open) == 0 && h.peak > shrinkAt { // a map never gives memory back by itself
		h.open, h.peak = nil, 0
	}
}

// count returns how many sources have connections.
func (s *sources) count() (n int) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		n += len(h.open)
		h.mu.Unlock()
	}
	return n
}
