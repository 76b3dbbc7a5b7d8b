package relay

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// After a thousand stuck readers the buffers that they had were kept for good.
func TestFreeBuffersThatAreNotNeededAreDropped(t *testing.T) {
	var p buffers
	take := func(n int) (all []*buffer) {
		for range n {
			all = append(all, p.get(bufferMax))
		}
		return all
	}
	give := func(all []*buffer) {
		for _, b := range all {
			p.put(b)
		}
	}
	give(take(20))
	p.unneeded()
	give(take(5)) // what a steady load needs
	require.Equal(t, 15*bufferMax, p.unneeded())
	require.Equal(t, 5*bufferMax, p.free())
	give(take(5))
	require.Zero(t, p.unneeded())
	require.Equal(t, 5*bufferMax, p.unneeded(), "nobody has asked since")
	require.Zero(t, p.free())
	give(take(2))
	require.Zero(t, p.inUse)
}
