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

func TestConnections(t *testing.T) {
	process, listener := scope(t, Limits{Connections: 3}), scope(t, Limits{Connections: 2})
	require.Equal(t, None, Enter(listener, process))
	require.Equal(t, None, Enter(listener, process))
	require.Equal(t, Connections, Enter(listener, process))
	require.EqualValues(t, 2, process.Open())
	require.Equal(t, None, Enter(process))
	Leave(listener, process)
	require.Equal(t, None, Enter(listener, process))
	Leave(listener)
	require.Equal(t, Connections, Enter(listener, process), "the process is full")
	require.EqualValues(t, 1, listener.Open(), "the listener got back what it gave")
}

// A reload neither closes nor forgets what is open.
func TestLimitsChangeUnderOpenConnections(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	s := &Scope{}
	for range 5 {
		require.Equal(t, None, Enter(s), "no limit yet, but counted")
	}
	require.NoError(t, s.SetLimits(Limits{Connections: 5, PerSource: 3}))
	require.Equal(t, Connections, Enter(s))
	var tickets []Ticket
	for range 3 {
		ticket, r := s.EnterSource(a)
		require.Equal(t, None, r)
		tickets = append(tickets, ticket)
	}
	require.NoError(t, s.SetLimits(Limits{Connections: 6, PerSource: 2}))
	require.Equal(t, None, Enter(s))
	s.LeaveSource(tickets[0])
	_, r := s.EnterSource(a)
	require.Equal(t, Source, r, "two are left of three")

	require.NoError(t, s.SetLimits(Limits{}))
	uncounted, r := s.EnterSource(a)
	require.Equal(t, None, r)
	require.NoError(t, s.SetLimits(Limits{PerSource: 2}))
	s.LeaveSource(uncounted)
	_, r = s.EnterSource(a)
	require.Equal(t, Source, r, "the end of one that was not counted gives nothing back")
	s.LeaveSource(tickets[1])
	s.LeaveSource(tickets[2])
	require.Zero(t, s.Sources())

	for _, bad := range []Limits{{Connections: -1}, {PerSource: -1}, {Rate: -1}, {Rate: MaxRate + 1}} {
		require.Error(t, s.SetLimits(bad))
	}
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
			ticket, r := s.EnterSource(netip.MustParseAddr(c.a))
			require.Equal(t, None, r)
			require.NotZero(t, ticket)
			_, r = s.EnterSource(netip.MustParseAddr(c.b))
			require.Equal(t, c.same, r == Source)
		})
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scope(t, Limits{Rate: 10})
		admitted := func(tries int) (n int) {
			for range tries {
				if Enter(s) == None {
					n++
				}
			}
			return n
		}
		require.Equal(t, 10, admitted(1000), "a second's worth at once")
		require.EqualValues(t, 10, s.Open(), "one refused for the rate does not stay counted")
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
func TestAnySequence(t *testing.T) {
	for range 200 {
		s, limits := &Scope{}, Limits{}
		open, bySource := 0, map[byte]int{}
		type held struct {
			source byte
			ticket Ticket
		}
		var live []held
		for range 300 {
			switch rand.IntN(8) {
			case 0:
				limits = Limits{Connections: rand.IntN(12), PerSource: rand.IntN(4)}
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
					Leave(s)
					open--
				}
			default:
				full := limits.Connections > 0 && open >= limits.Connections
				r := Enter(s)
				require.Equal(t, full, r == Connections)
				if full {
					continue
				}
				source := byte(rand.IntN(5))
				ticket, r := s.EnterSource(netip.AddrFrom4([4]byte{10, 0, 0, source}))
				require.Equal(t, limits.PerSource > 0 && bySource[source] >= limits.PerSource, r == Source)
				if r != None {
					Leave(s)
					continue
				}
				open++
				if ticket != (Ticket{}) {
					bySource[source]++
				}
				live = append(live, held{source, ticket})
			}
			require.EqualValues(t, open, s.Open())
		}
		for _, h := range live {
			s.LeaveSource(h.ticket)
		}
		require.Zero(t, s.Sources())
	}
}
