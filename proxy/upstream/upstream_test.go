package upstream

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func addrs(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// Connections go where the fewest are, and equals take turns.
func TestPickTakesTheLeastBusy(t *testing.T) {
	s := NewSet(Options{})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), nil)
	count := map[*Address]int{}
	for range 300 {
		count[s.Pick(nil)]++
	}
	for a, n := range count {
		assert.Equal(t, 100, n, a.Addr)
	}
	idle := s.Addresses()[1]
	for range 50 {
		idle.Release()
	}
	for range 50 {
		assert.Same(t, idle, s.Pick(nil))
	}
}

func TestPickPrefersUntriedThenUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), nil)
		l := s.Addresses()
		s.Failed(l[0], time.Now())
		assert.NotSame(t, l[0], s.Pick(nil))
		assert.Same(t, l[2], s.Pick([]*Address{l[1]}), "neither tried nor failing")
		assert.Same(t, l[0], s.Pick([]*Address{l[1], l[2]}), "failing, but not tried yet")
		assert.NotNil(t, s.Pick(l), "all tried: one is tried again")
	})
}

// An address that failed is avoided for longer each time, is never out for good, and is trusted again once it connects.
func TestFailingEndsByTimeOrSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{})
		s.Update(addrs("127.0.0.1:1"), nil)
		a := s.Addresses()[0]
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			s.Failed(a, time.Now())
			assert.True(t, s.AllFailing())
			assert.Same(t, a, s.Pick(nil), "the last one is never out")
			time.Sleep(want*time.Second - time.Millisecond)
			assert.True(t, a.Avoided(time.Now()), "failure %d", i+1)
			time.Sleep(time.Millisecond)
			assert.False(t, a.Avoided(time.Now()), "failure %d", i+1)
		}
		s.Failed(a, time.Now())
		s.Connected(a)
		assert.False(t, a.Avoided(time.Now()))
		assert.Zero(t, a.Failures())
	})
}

// What leaves the answer and comes back while connections to it are open is the same address still.
func TestUpdateKeepsStanding(t *testing.T) {
	made := 0
	s := NewSet(Options{Tag: func(*Address) any { made++; return made }})
	assert.Nil(t, s.Pick(nil), "an empty set")
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
	a, b := s.Addresses()[0], s.Addresses()[1]
	first := s.Pick([]*Address{b})
	require.Same(t, a, first)
	s.Update(addrs("127.0.0.2:1", "127.0.0.3:1"), nil)
	assert.Same(t, b, s.Addresses()[0])
	s.Update(addrs("127.0.0.1:1"), nil)
	assert.Same(t, a, s.Addresses()[0], "in use while it was gone")
	assert.EqualValues(t, 1, a.Active())
	assert.NotSame(t, b, func() *Address { s.Update(addrs("127.0.0.2:1"), nil); return s.Addresses()[0] }(), "not in use while it was gone")
	assert.Equal(t, 4, made)
}

// An answer may name an address twice, and a backup may be a primary as well: each is there once.
func TestAddressesAreThereOnce(t *testing.T) {
	s := NewSet(Options{})
	defer s.Close()
	for range 2 { // as new addresses, and as known ones
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:1"), addrs("127.0.0.2:1", "127.0.0.3:1", "127.0.0.3:1"))
		var all []string
		for _, st := range s.Standings(time.Now()) {
			all = append(all, st.Address.Addr.String()+" "+string(st.State))
		}
		require.Equal(t, []string{"127.0.0.1:1 usable", "127.0.0.2:1 usable", "127.0.0.3:1 backup"}, all)
	}
}
