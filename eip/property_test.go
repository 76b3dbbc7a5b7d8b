package eip

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// TestAnyInterleaving has daemons claim from one pool while they crash and restart, answers are lost, calls fail and
// listings are old. Nothing may ever be taken from somebody, and once the faults end all that can hold one do.
// L4FWD_EIP_SEED runs one seed, L4FWD_EIP_SEEDS other numbers of them.
func TestAnyInterleaving(t *testing.T) {
	first, count := uint64(1), uint64(40)
	if one, err := strconv.ParseUint(os.Getenv("L4FWD_EIP_SEED"), 10, 64); err == nil {
		first, count = one, 1
	} else if n, err := strconv.ParseUint(os.Getenv("L4FWD_EIP_SEEDS"), 10, 64); err == nil {
		count = n
	}
	for seed := first; seed < first+count; seed++ {
		ok := t.Run("seed "+strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { interleave(t, seed) })
		})
		if !ok {
			return
		}
	}
}

// dice is a source of random numbers for many goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) upTo(limit time.Duration) time.Duration { return time.Duration(d.n(int(limit))) }

// oneIn reports true once in n times.
func (d *dice) oneIn(n int) bool { return d.n(n) == 0 }

func interleave(t *testing.T, seed uint64) {
	d := &dice{r: rand.New(rand.NewPCG(seed, 4))}
	daemons, addresses := 2+d.n(5), 1+d.n(6)
	var faulty sync.Mutex // held never for long; guards calm
	calm := false
	r := newRegion(t, addresses, daemons, sim.EC2Options{
		RefuseSecond: d.oneIn(2), RefuseRepeat: d.oneIn(2),
		Latency: func() time.Duration { return d.upTo(300 * time.Millisecond) },
		Lag:     func() time.Duration { return d.upTo(5 * time.Second) },
		Fault: func(sim.Call) sim.Fault {
			faulty.Lock()
			defer faulty.Unlock()
			if calm || !d.oneIn(4) {
				return sim.NoFault
			}
			return sim.Fault(1 + d.n(int(sim.InternalDone)))
		},
	})
	stolen := watchThefts(r)

	keepers := make([]*Keeper, daemons)
	stops := make([]func(), daemons)
	start := func(i int) {
		o := r.options(i)
		if d.oneIn(2) {
			o.PublicIPv4 = func(context.Context) (netip.Addr, error) { return r.PublicIPv4(eni(i)), nil }
		}
		keepers[i], stops[i] = run(t, o)
	}
	for i := range daemons {
		start(i)
	}
	for range 30 {
		time.Sleep(d.upTo(8 * time.Second))
		i := d.n(daemons)
		switch d.n(3) {
		case 0: // a crash and a restart
			stops[i]()
			time.Sleep(d.upTo(3 * time.Second))
			start(i)
		case 1: // it goes to standby and comes back
			keepers[i].Want(false)
			time.Sleep(d.upTo(3 * time.Second))
			keepers[i].Want(true)
		}
	}
	faulty.Lock()
	calm = true
	faulty.Unlock()
	time.Sleep(3 * time.Minute)

	holders := r.Holders()
	require.Empty(t, stolen(), "seed %d", seed)
	require.Len(t, holders, min(daemons, addresses), "seed %d: all that can hold one do", seed)
	believed := 0
	for i, k := range keepers {
		hold, held := k.Held()
		if held {
			believed++
			require.Equal(t, eni(i), holders[hold.Allocation], "seed %d: daemon %d holds what it believes to hold", seed, i)
		}
		require.Equal(t, held, k.Check() == nil)
	}
	require.Equal(t, len(holders), believed, "seed %d: and each knows it", seed)
	for i, k := range keepers {
		require.NoError(t, k.Release(t.Context()), "seed %d", seed)
		stops[i]()
	}
	require.Empty(t, r.Holders(), "seed %d: all were given back", seed)
}

// watchThefts notes each change that takes an address from one interface for another, and each moment at which an
// interface has two.
func watchThefts(r *region) func() []string {
	var mu sync.Mutex
	var bad []string
	has := map[string]string{} // allocation by interface
	r.OnChange(func(c sim.Change) {
		mu.Lock()
		defer mu.Unlock()
		if c.From != "" && c.To != "" && c.From != c.To {
			bad = append(bad, c.Allocation+" taken from "+c.From+" by "+c.To)
		}
		if c.From != "" && has[c.From] == c.Allocation {
			delete(has, c.From)
		}
		if c.To != "" {
			if other := has[c.To]; other != "" {
				bad = append(bad, c.To+" has two: "+other+", "+c.Allocation)
			}
			has[c.To] = c.Allocation
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return bad
	}
}
