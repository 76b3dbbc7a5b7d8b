package limit

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLoopsAtOnce has many loops enter and leave while the limits change; what each limit bounds is counted aside.
func TestLoopsAtOnce(t *testing.T) {
	const perSource = 3
	s := scope(t, Limits{PerSource: perSource})
	var of [8]atomic.Int64
	var refused, admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3000 {
				i := rand.IntN(len(of))
				ticket, ok := s.EnterSource(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
				if !ok {
					refused.Add(1)
				} else {
					admitted.Add(1)
					if n := of[i].Add(1); n > perSource {
						t.Errorf("%d open of one source", n)
					}
					time.Sleep(time.Microsecond)
					of[i].Add(-1)
				}
				s.LeaveSource(ticket)
			}
		})
	}
	for range 100 {
		require.NoError(t, s.SetLimits(Limits{PerSource: 1 + rand.IntN(perSource)}))
		time.Sleep(100 * time.Microsecond)
	}
	wg.Wait()
	require.Zero(t, s.Sources())
	require.Positive(t, refused.Load())
	require.Positive(t, admitted.Load())
}

// A flood of addresses leaves nothing behind, and a source with open connections is not forgotten in it.
func TestFloodOfSources(t *testing.T) {
	s := scope(t, Limits{PerSource: 1})
	keeper := netip.MustParseAddr("192.0.2.1")
	ticket, ok := s.EnterSource(keeper)
	require.True(t, ok)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 200_000 {
		other, ok := s.EnterSource(addr(i))
		require.True(t, ok)
		s.LeaveSource(other)
	}
	require.Equal(t, 1, s.Sources())

	var tickets []Ticket
	for i := range 50_000 { // open at once: as many entries as connections
		other, ok := s.EnterSource(addr(i))
		require.True(t, ok)
		tickets = append(tickets, other)
	}
	require.Equal(t, 50_001, s.Sources())
	_, ok = s.EnterSource(keeper)
	require.False(t, ok)
	for _, other := range tickets {
		s.LeaveSource(other)
	}
	s.LeaveSource(ticket)
	require.Zero(t, s.Sources())
	for i := range s.sources.shards {
		require.Nil(t, s.sources.shards[i].open, "the memory of the flood is given back")
	}
}

// However an attacker picks its addresses, they do not gather in few shards.
func TestSourcesSpread(t *testing.T) {
	s := &sources{}
	for name, addr := range map[string]func(i uint16) netip.Addr{
		"neighbours": func(i uint16) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) },
		"strided":    func(i uint16) netip.Addr { return netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 0, 0}) },
		"IPv6":       func(i uint16) netip.Addr { return netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 8), byte(i)}) },
	} {
		used := map[*shard]int{}
		for i := range uint16(64 * 64) {
			used[s.shard(ticketOf(addr(i)))]++
		}
		require.Greater(t, len(used), 48, name)
		for _, n := range used {
			require.Less(t, n, 64*6, name)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	a := scope(t, Limits{Rate: MaxRate})
	require.Zero(t, testing.AllocsPerRun(1000, func() { a.Admit() }))
	s := scope(t, Limits{PerSource: 10})
	i := byte(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		i++
		ticket, _ := s.EnterSource(netip.AddrFrom4([4]byte{10, 0, 0, i % 8}))
		s.LeaveSource(ticket)
	}))
}

func BenchmarkAdmit(b *testing.B) {
	s := scope(b, Limits{Rate: MaxRate})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Admit()
		}
	})
}

func BenchmarkSource(b *testing.B) {
	for name, spread := range map[string]uint32{"one source": 1, "many sources": 1 << 16} {
		b.Run(name, func(b *testing.B) {
			s := scope(b, Limits{PerSource: 1 << 20})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.Uint32(); pb.Next(); i++ {
					n := i % spread
					ticket, _ := s.EnterSource(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
					s.LeaveSource(ticket)
				}
			})
		})
	}
}
