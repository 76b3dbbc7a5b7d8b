package upstream

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A use of one address becomes one of another only if that is as good: of the set, of equal or better standing, and with the
// balance first the same place.
func TestExchange(t *testing.T) {
	spoil := map[string]func(*Set, *Address){
		"fails":  func(s *Set, a *Address) { s.Failed(a, time.Now()) },
		"down":   func(s *Set, a *Address) { s.verdict(a, &streak{}, errors.New("broken")) },
		"ramps":  func(_ *Set, a *Address) { a.back.Store(time.Now().UnixNano()) },
		"as new": func(*Set, *Address) {},
	}
	for _, c := range []struct {
		balance  Balance
		from, to int // of two primaries and a backup; -1: an address that left
		spoiled  int
		how      string
		want     bool
	}{
		{LeastConn, 0, 1, 0, "as new", true},
		{LeastConn, 1, 0, 0, "as new", true},
		{LeastConn, 0, 1, 0, "fails", true},
		{LeastConn, 0, 1, 1, "fails", false},
		{LeastConn, 1, 0, 0, "down", false},
		{LeastConn, 0, 1, 1, "ramps", true},
		{LeastConn, 0, 2, 0, "as new", false},
		{LeastConn, 0, 2, 0, "down", true},
		{LeastConn, 2, 0, 0, "as new", true},
		{LeastConn, -1, 1, 1, "fails", true},
		{LeastConn, 0, -1, 0, "down", false},
		{RoundRobin, 0, 1, 0, "as new", true},
		{First, 0, 1, 0, "as new", false},
		{First, 1, 0, 0, "as new", false},
		{First, 0, 0, 0, "as new", true},
		{First, -1, 0, 0, "as new", true},
		{First, -1, 1, 0, "as new", true},
	} {
		s := NewSet(Options{Balance: c.balance, SlowStart: time.Minute, Check: Check{Rise: 1, Fall: 1}})
		s.Update(addrs("127.0.0.9:1"), nil)
		gone := s.Pick(nil)
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), addrs("127.0.0.3:1"))
		at := func(i int) *Address {
			if i < 0 {
				return gone
			}
			return s.Addresses()[i]
		}
		from, to := at(c.from), at(c.to)
		if from != gone {
			from.active.Add(1)
		}
		spoil[c.how](s, at(c.spoiled))
		want := map[*Address]int64{from: from.Active(), to: to.Active()}
		if c.want {
			want[from]--
			want[to]++
		}
		require.Equal(t, c.want, s.Exchange(from, to), "%+v", c)
		require.Equal(t, want[from], from.Active(), "%+v", c)
		require.Equal(t, want[to], to.Active(), "%+v", c)
	}
}

func TestUsableIsOfTheSet(t *testing.T) {
	s := NewSet(Options{Check: Check{Rise: 1, Fall: 1}})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
	one, two := s.Addresses()[0], s.Addresses()[1]
	assert.True(t, s.Usable(one, time.Now()))
	s.verdict(one, &streak{}, errors.New("broken"))
	assert.False(t, s.Usable(one, time.Now()))
	assert.True(t, s.Usable(two, time.Now()))
	s.Update(addrs("127.0.0.1:1"), nil)
	assert.False(t, s.Usable(two, time.Now()), "it left")
}

func TestBalancesAreSpelled(t *testing.T) {
	for want, b := range map[string]Balance{"least_conn": LeastConn, "round_robin": RoundRobin, "first": First} {
		var got Balance
		require.NoError(t, got.UnmarshalText([]byte(want)))
		require.Equal(t, b, got)
		require.Equal(t, want, b.String())
	}
	b := First
	require.Error(t, b.UnmarshalText([]byte("leastconn")))
	require.Equal(t, First, b)
}

// The list of states is closed: it is a label of a metric, and each address is in one of them.
func TestStatesAreListedOnce(t *testing.T) {
	require.Equal(t, []State{"usable", "unchecked", "failing", "check_failed", "ejected", "ejected_by_operator", "backup", "removed"}, States())
}

// An address that never was out has its whole weight; one that came back has a tenth at first, and all of it after slow start.
func TestWeights(t *testing.T) {
	const slow = 30 * time.Second
	for _, c := range []struct {
		back, ejected, now int64 // seconds
		slow               time.Duration
		want               int64
	}{
		{0, 0, 100, slow, whole},
		{0, 0, 1, slow, whole},
		{100, 0, 100, slow, whole / 10},
		{100, 0, 102, slow, whole / 10},
		{100, 0, 115, slow, whole / 2},
		{100, 0, 130, slow, whole},
		{100, 0, 160, slow, whole},
		{100, 0, 115, 0, whole},
		{0, 100, 115, slow, whole / 2},
		{100, 110, 125, slow, whole / 2},
		{100, 200, 115, slow, whole / 10}, // ejected still
	} {
		r := &record{}
		r.back.Store(c.back * int64(time.Second))
		r.ejected.Store(c.ejected * int64(time.Second))
		assert.Equal(t, c.want, r.weight(c.now*int64(time.Second), c.slow), "%+v", c)
	}
	assert.EqualValues(t, whole, (&record{}).weight(1, slow), "a moment after the beginning of time")
}

// Where connections decide, each of an address in slow start counts for more.
func TestLoadInSlowStart(t *testing.T) {
	for _, balance := range []Balance{LeastConn, RoundRobin, First} {
		s := NewSet(Options{Balance: balance})
		s.Update(addrs("127.0.0.1:1"), nil)
		for range 10 {
			s.Pick(nil)
		}
		c := choice{set: s, snap: s.cur.Load()}
		want := map[int64]int64{whole: 10, whole / 2: 20, whole / 4: 40}
		for weight, load := range want {
			if balance != LeastConn {
				load = 0
			}
			assert.Equal(t, load, c.load(0, weight))
		}
	}
}

// One of many may be ejected however small the percentage, and none at 0.
func TestTheSmallestPercentage(t *testing.T) {
	for percent, want := range map[int]int{0: 0, 1: 1, 40: 2, 100: 4} {
		s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: percent}})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1", "127.0.0.5:1"), nil)
		out := 0
		for _, a := range s.Addresses() {
			s.Failed(a, time.Now())
		}
		for _, st := range s.Standings(time.Now()) {
			if st.State == StateEjected {
				out++
			}
		}
		assert.Equal(t, want, out, "%d %%", percent)
	}
}

// A backup waits while a primary is usable, and is one like others when none is.
func TestBackupsWait(t *testing.T) {
	s := NewSet(Options{Check: Check{Rise: 1, Fall: 1}})
	s.Update(addrs("127.0.0.1:1"), addrs("127.0.0.2:1", "127.0.0.3:1"))
	states := func() (all []State) {
		for _, st := range s.Standings(time.Now()) {
			all = append(all, st.State)
		}
		return all
	}
	assert.Equal(t, []State{StateUsable, StateBackup, StateBackup}, states())
	s.Failed(s.Addresses()[2], time.Now())
	assert.Equal(t, []State{StateUsable, StateBackup, StateFailing}, states())
	s.verdict(s.Addresses()[0], &streak{}, errors.New("broken"))
	assert.Equal(t, []State{StateDown, StateUsable, StateFailing}, states())
	assert.False(t, NewSet(Options{}).AllFailing(), "nobody is there to fail")
}

// A connection that passes on from a dark address does not wait for another slow one.
func TestASlowAddressIsNoSecondChoice(t *testing.T) {
	s := NewSet(Options{})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), nil)
	dark, slow, good := s.Addresses()[0], s.Addresses()[1], s.Addresses()[2]
	slow.slow.Store(1) // its time is over, and nobody has tried it since
	good.active.Add(100)
	assert.Same(t, good, s.Pick([]*Address{dark}))
	assert.NotSame(t, good, s.Pick(nil), "a first attempt shows whether it is slow still")
}
