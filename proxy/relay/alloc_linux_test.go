package relay

import (
	"encoding/binary"
	"io"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Once a connection is set up, its bytes cost no allocation: copied, held for a slow reader, or spliced.
func TestDataPathAllocatesNothing(t *testing.T) {
	r := newRig(t, "epoll", loopback4)
	cp, up := r.pair()
	c, u := cp.TCPConn, up.TCPConn
	small, big := make([]byte, 1024), make([]byte, 1<<20)
	inbox := make([]byte, len(big))
	binary.BigEndian.PutUint64(small, uint64(len(small)))
	binary.BigEndian.PutUint64(big, uint64(len(big)))
	var ended sync.WaitGroup
	ended.Go(func() { // the upstream: reads what begins with its own length, and sends it back
		for {
			if _, err := io.ReadFull(u, inbox[:8]); err != nil {
				return
			}
			n := binary.BigEndian.Uint64(inbox)
			if _, err := io.ReadFull(u, inbox[8:n]); err != nil {
				return
			}
			if _, err := u.Write(inbox[:n]); err != nil {
				return
			}
		}
	})
	back := make([]byte, len(big))
	exchange := func(b []byte) {
		_, err := c.Write(b)
		if err == nil {
			_, err = io.ReadFull(c, back[:len(b)])
		}
		if err != nil {
			require.NoError(t, err)
		}
	}
	limit := func() {
		within := time.Now().Add(4 * patience)
		require.NoError(t, c.SetDeadline(within))
		require.NoError(t, u.SetDeadline(within))
	}
	for _, b := range [][]byte{small, big} {
		limit()
		for range 20 { // fills the pools
			exchange(b)
		}
		// The runtime itself allocates now and then, more on a busy machine; the relay's own allocations would be in each window.
		// One in twenty exchanges would still be the relay's.
		const windows, rounds = 3, 300
		least := uint64(math.MaxUint64)
		for range windows {
			limit() // anew: a busy machine takes minutes for all
			least = min(least, mallocs(func() {
				for range rounds {
					exchange(b)
				}
			}))
		}
		assert.Less(t, least, uint64(rounds/20), "exchanges of %d bytes", len(b))
	}
	assert.NotZero(t, r.tally.Sum().SplicedUp, "the bulk was spliced")
	cp.fin()
	ended.Wait()
	up.fin()
	r.closed(ClientClosed, -1, -1)
}

// mallocs is how many objects the process allocates while f runs.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// What a connection costs while it is idle: its slot, its deadline and its place in the free list.
func TestIdleConnectionIsSmall(t *testing.T) {
	size := unsafe.Sizeof(conn{}) + unsafe.Sizeof(timerNode{}) + 4
	t.Logf("%d bytes a connection", size)
	require.LessOrEqual(t, size, uintptr(320))
}
