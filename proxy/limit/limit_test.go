package limit

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func scope(t testing.TB, l Limits) *Scope {
	t.Helper()
	s := &Scope{}
	require.NoError(t, s.SetLimits(l))
	return s
}

// A reload neither closes nor forgets what is open.
func TestLimitsChangeUnderOpenConnections(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	s := &Scope{}
	require.NoError(t, s.SetLimits(Limits{PerSource: 3}))
	var tickets []Ticket
	for range 3 {
		ticket, ok := s.EnterSource(a)
		require.True(t, ok)
		tickets = append(tickets, ticket)
	}
	require.NoError(t, s.SetLimits(Limits{PerSource: 2}))
	s.LeaveSource(tickets[0])
	_, ok := s.EnterSource(a)
	require.False(t, ok, "two are left of three")

	require.NoError(t, s.SetLimits(Limits{}))
	uncounted, ok := s.EnterSource(a)
	require.True(t, ok)
	require.NoError(t, s.SetLimits(Limits{PerSource: 2}))
	s.LeaveSource(uncounted)
	_, ok = s.EnterSource(a)
	require.False(t, ok, "the end of one that was not counted gives nothing back")
	s.LeaveSource(tickets[1])
	s.LeaveSource(tickets[2])
	require.Zero(t, s.Sources())

	for _, bad := range []Limits{{PerSource: -1}, {Rate: -1}, {Rate: MaxRate + 1}} {
		require.Error(t, s.SetLimits(bad))
	}
}

// Connections that another process admitted are counted whatever the limit is now: they are there. New ones wait until they have gone.
func TestConnectionsOfAnotherProcessAreCounted(t *testing.T) {
	s := scope(t, Limits{PerSource: 2})
	a := netip.MustParseAddr("192.0.2.1")
	var all []Ticket
	for range 3 {
		all = append(all, s.Reenter(a))
	}
	require.Equal(t, 1, s.Sources())
	for i, ticket := range all {
		_, ok := s.EnterSource(a)
		require.False(t, ok, "%d have gone", i)
		if s.LeaveSource(ticket); i == 1 {
			break
		}
	}
	ticket, ok := s.EnterSource(a)
	require.True(t, ok)
	s.LeaveSource(ticket)
	s.LeaveSource(all[2])
	require.Zero(t, s.Sources())

	s = scope(t, Limits{})
	require.Zero(t, s.Reenter(a), "without a limit nothing is counted")
	require.Zero(t, s.Sources())
}

func TestWhatIsOneSource(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"one address":         {"192.0.2.1", "192.0.2.1", true},
		"two addresses":       {"192.0.2.1", "192.0.2.2", false},
		"mapped":              {"192.0.2.1", "::ffff:192.0.2.1", true},
		"a /64":               {"2001:db8::1", "2001:db8::ffff:2", true},
		"two /64":             {"2001:db8::1", "2001:db8:0:1::1", false},
		"zones":               {"fe80::1%eth0", "fe80::2%eth1", true},
		"none is no free one": {"::1", "0.0.0.0", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := scope(t, Limits{PerSource: 1})
			ticket, ok := s.EnterSource(netip.MustParseAddr(c.a))
			require.True(t, ok)
			require.NotZero(t, ticket)
			_, ok = s.EnterSource(netip.MustParseAddr(c.b))
			require.Equal(t, !c.same, ok)
		})
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scope(t, Limits{Rate: 10})
		admitted := func(tries int) (n int) {
			for range tries {
				if s.Admit() {
					n++
				}
			}
			return n
		}
		require.Equal(t, 10, admitted(1000), "a second's worth at once")
		time.Sleep(99 * time.Millisecond)
		require.Zero(t, admitted(1))
		time.Sleep(time.Millisecond)
		require.Equal(t, 1, admitted(5))
		time.Sleep(time.Hour)
		require.Equal(t, 10, admitted(1000), "what is not used does not add up")

		require.NoError(t, s.SetLimits(Limits{Rate: 1000}))
		require.Zero(t, admitted(1), "empty stays empty")
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, 500, admitted(1000))
		require.NoError(t, s.SetLimits(Limits{}))
		require.Equal(t, 1000, admitted(1000))
		require.NoError(t, s.SetLimits(Limits{Rate: 1}))
		time.Sleep(time.Second)
		require.Equal(t, 1, admitted(10))

		n := 0
		for range 100 * 60 { // a minute, 100 clients a second
			n += admitted(1)
			time.Sleep(10 * time.Millisecond)
		}
		require.InDelta(t, 60, n, 1)
	})
}

// TestAnySequence compares with plain counting, over random sequences of all that can happen.
// What is taken of the rate passes to the next process: an upgrade gives clients no second helping.
func TestTheRatePassesToTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := scope(t, Limits{Rate: 10})
		require.Zero(t, old.Taken())
		for range 10 {
			require.True(t, old.Admit())
		}
		require.Equal(t, time.Second, old.Taken())
		time.Sleep(300 * time.Millisecond)
		require.Equal(t, 700*time.Millisecond, old.Taken())

		next := scope(t, Limits{Rate: 10})
		next.Take(old.Taken())
		for range 3 {
			require.True(t, next.Admit())
		}
		require.False(t, next.Admit())
		next.Take(time.Hour) // no more than all
		time.Sleep(100 * time.Millisecond)
		require.True(t, next.Admit())
		require.False(t, next.Admit())
		time.Sleep(time.Hour)
		require.Zero(t, next.Taken())
	})
}

func TestWithoutARateNothingIsTaken(t *testing.T) {
	s := &Scope{}
	s.Take(time.Second)
	require.True(t, s.Admit())
	require.Zero(t, s.Taken())
	require.NoError(t, s.SetLimits(Limits{Rate: 1}))
	require.True(t, s.Admit())
	require.NotZero(t, s.Taken())
	require.NoError(t, s.SetLimits(Limits{}))
	require.Zero(t, s.Taken())
}

func TestAnySequence(t *testing.T) {
	for range 200 {
		s, limits := &Scope{}, Limits{}
		bySource := map[byte]int{}
		type held struct {
			source byte
			ticket Ticket
		}
		var live []held
		for range 300 {
			switch rand.IntN(8) {
			case 0:
				limits = Limits{PerSource: rand.IntN(4)}
				require.NoError(t, s.SetLimits(limits))
			case 1, 2:
				if len(live) > 0 {
					i := rand.IntN(len(live))
					h := live[i]
					live[i] = live[len(live)-1]
					live = live[:len(live)-1]
					if h.ticket != (Ticket{}) {
						bySource[h.source]--
					}
					s.LeaveSource(h.ticket)
				}
			default:
				source := byte(rand.IntN(5))
				ticket, ok := s.EnterSource(netip.AddrFrom4([4]byte{10, 0, 0, source}))
				require.Equal(t, limits.PerSource == 0 || bySource[source] < limits.PerSource, ok)
				if !ok {
					continue
				}
				if ticket != (Ticket{}) {
					bySource[source]++
				}
				live = append(live, held{source, ticket})
			}
		}
		for _, h := range live {
			s.LeaveSource(h.ticket)
		}
		require.Zero(t, s.Sources())
	}
}

// A shard whose sources have all left gives its memory back, and none forgets a source that still has connections.
func TestMemoryIsGivenBackOnceNobodyIsLeft(t *testing.T) {
	s := scope(t, Limits{PerSource: 1})
	first := netip.MustParseAddr("10.0.0.1")
	shard := s.sources.shard(ticketOf(first))
	kept, ok := s.EnterSource(first)
	require.True(t, ok)
	var others []Ticket
	for a := first.Next(); len(others) <= shrinkAt; a = a.Next() {
		if s.sources.shard(ticketOf(a)) != shard {
			continue
		}
		ticket, ok := s.EnterSource(a)
		require.True(t, ok)
		others = append(others, ticket)
	}
	for _, ticket := range others {
		s.LeaveSource(ticket)
	}
	require.Equal(t, 1, s.Sources())
	_, ok = s.EnterSource(first)
	require.False(t, ok, "it is not forgotten")
	require.Greater(t, shard.peak, shrinkAt)
	s.LeaveSource(kept)
	require.Nil(t, shard.open)
	require.Zero(t, shard.peak)

	few, ok := s.EnterSource(first)
	require.True(t, ok)
	s.LeaveSource(few)
	require.NotNil(t, shard.open, "a small map is kept for the next")
}

func TestTheHighestRate(t *testing.T) {
	require.NoError(t, Limits{Rate: 1_000_000}.Check())
	require.ErrorContains(t, Limits{Rate: 1_000_001}.Check(), "1000000")
}
