package relay

import (
	"testing"
	"time"

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

// Two loops free memory at about the same time: what the second freed stayed until the collector ran by itself, two minutes later.
func TestWhatIsFreedDuringACollectionIsCollected(t *testing.T) {
	s := &shared{}
	s.collecting.Store(collectNow)
	s.collect()
	require.EqualValues(t, collectAgain, s.collecting.Load())
	s.collecting.Store(collectNot)
	for range 3 {
		s.collect()
	}
	require.Eventually(t, func() bool { return s.collecting.Load() == collectNot }, patience, time.Millisecond)
}
