package relay

import (
	"encoding/binary"
	"io"
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
	for _, b := range [][]byte{small, big} {
		within := time.Now().Add(4 * patience)
		require.NoError(t, c.SetDeadline(within))
		require.NoError(t, u.SetDeadline(within))
		for range 20 { // fills the pools
			exchange(b)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const rounds = 300
		for range rounds {
			exchange(b)
		}
		runtime.ReadMemStats(&after)
		// The runtime itself allocates now and then; one allocation in twenty exchanges would still be the relay's.
		assert.Less(t, after.Mallocs-before.Mallocs, uint64(rounds/20), "exchanges of %d bytes", len(b))
	}
	assert.NotZero(t, r.tally.Sum().SplicedUp, "the bulk was spliced")
	cp.fin()
	ended.Wait()
	up.fin()
	r.closed(ClientClosed, -1, -1)
}

// What a connection costs while it is idle: its slot, its deadline and its place in the free list.
func TestIdleConnectionIsSmall(t *testing.T) {
	size := unsafe.Sizeof(conn{}) + unsafe.Sizeof(timerNode{}) + 4
	t.Logf("%d bytes a connection", size)
	require.LessOrEqual(t, size, uintptr(320))
}
