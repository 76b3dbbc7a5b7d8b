package relay

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tick = int64(wheelTick)

// The wheel against the obvious: a map of deadlines that is searched every time.
func TestWheelAgainstMap(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var w wheel
		now := rnd.Int64N(1 << 50)
		w.tick = uint64(now / tick)
		want := map[uint32]int64{}
		for range 3000 {
			slot := uint32(rnd.IntN(200))
			switch rnd.IntN(4) {
			case 0, 1:
				at := now + rnd.Int64N(int64(1)<<rnd.IntN(50))
				w.set(slot, at)
				want[slot] = min(max((at+tick-1)/tick, now/tick+1), now/tick+wheelMax)
			case 2:
				w.clear(slot)
				delete(want, slot)
			case 3:
				if rnd.IntN(3) > 0 {
					now += rnd.Int64N(int64(1) << rnd.IntN(47))
				} else if at, ok := w.next(); ok {
					now = max(now, at)
				}
				got := map[uint32]bool{}
				w.advance(now, func(s uint32) { got[s] = true })
				for s, at := range want {
					due := at <= now/tick
					require.Equal(t, due, got[s], "seed %d slot %d at %d now %d", seed, s, at, now/tick)
					if due {
						delete(want, s)
					}
				}
			}
			require.Equal(t, len(want), w.count)
			at, ok := w.next()
			require.Equal(t, len(want) > 0, ok)
			for s, x := range want {
				require.LessOrEqual(t, at, x*tick, "next is later than slot %d", s)
			}
			if ok {
				require.Greater(t, at, now-tick, "next is in the past")
			}
		}
	}
}

// What expires may set its own and others' deadlines again.
func TestWheelFireMaySet(t *testing.T) {
	var w wheel
	w.set(1, 5*tick)
	w.set(2, 5*tick)
	w.set(3, 9*tick)
	var fired []uint32
	for now := int64(0); now <= 20*tick; now += tick {
		w.advance(now, func(s uint32) {
			fired = append(fired, s)
			switch s {
			case 1:
				w.clear(3)
				w.set(1, now+3*tick)
				if len(fired) > 4 {
					w.clear(1)
				}
			}
		})
	}
	assert.NotContains(t, fired, uint32(3))
	assert.Contains(t, fired, uint32(2))
	assert.Equal(t, uint32(1), fired[len(fired)-1])
}

// An idle loop is not woken for every tick on the way to a far deadline.
func TestWheelSleepsThrough(t *testing.T) {
	var w wheel
	w.set(0, int64(3600)*100*tick)
	wakes := 0
	for {
		at, ok := w.next()
		if !ok {
			break
		}
		wakes++
		w.advance(at, func(uint32) {})
	}
	assert.LessOrEqual(t, wakes, wheelLevels)
}

func TestSlabTellsGenerationsApart(t *testing.T) {
	var s slab
	c := s.get()
	c.phase = phaseRelaying
	slot, gen := c.slot, c.gen
	require.Same(t, c, s.lookup(slot, gen))
	s.put(c)
	assert.Nil(t, s.lookup(slot, gen), "an event for a connection that has ended")
	d := s.get()
	d.phase = phaseRelaying
	require.Equal(t, slot, d.slot, "the slot is used again")
	assert.Nil(t, s.lookup(slot, gen))
	assert.NotNil(t, s.lookup(slot, d.gen))
	assert.Nil(t, s.lookup(slabPage*10, 0), "a slot that never was")
}

func TestBufferClasses(t *testing.T) {
	var p buffers
	for _, n := range []int{1, bufferMin, bufferMin + 1, 20_000, bufferMax} {
		b := p.get(n)
		assert.GreaterOrEqual(t, len(b.b), n)
		assert.Less(t, len(b.b), max(2*n, bufferMin+1))
		p.put(b)
		assert.Same(t, b, p.get(n), "a free buffer is used again")
	}
	many := make([]*buffer, 0, 200)
	for range 200 {
		many = append(many, p.get(bufferMax))
	}
	for _, b := range many {
		p.put(b)
	}
	assert.LessOrEqual(t, p.kept[bufferClasses-1]*bufferMax, bufferKeep, "what is kept is bounded")
}
