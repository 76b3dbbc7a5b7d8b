package upstream

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An attempt that connects early ends an ejection, and the address gets its share back slowly, as after any.
func TestAnEjectionThatEndsEarlyBeginsASlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // the clock does not begin at 0
		var said []Change
		s := NewSet(Options{
			Outlier: Outlier{Failures: 1, Ejection: time.Minute, MaxEjectedPercent: 50}, SlowStart: 30 * time.Second,
			OnChange: func(c Change) { said = append(said, c) },
		})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Addresses()[0]
		s.Failed(a, time.Now())
		time.Sleep(10 * time.Second)
		s.Connected(a)
		require.True(t, a.Usable(time.Now()))
		assert.EqualValues(t, whole/10, a.weight(time.Now().UnixNano(), 30*time.Second))
		assert.Equal(t, "an attempt connected", said[1].Why)
		assert.Equal(t, 1, said[1].Others)

		time.Sleep(time.Minute)
		s.Failed(a, time.Now())
		time.Sleep(2 * time.Minute)
		s.Connected(a)
		assert.Len(t, said, 3, "an ejection that ended by time is not told")
		assert.EqualValues(t, whole, a.weight(time.Now().UnixNano(), 30*time.Second), "and its slow start is over")
	})
}

// What left the answer is nobody's to eject.
func TestAnAddressThatLeftIsNotEjected(t *testing.T) {
	s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}, OnChange: func(Change) { t.Error("nothing changed") }})
	s.Update(addrs("127.0.0.1:1"), nil)
	a := s.Pick(nil)
	s.Update(addrs("127.0.0.2:1", "127.0.0.3:1"), nil)
	for range 3 {
		s.Failed(a, time.Now())
	}
	assert.True(t, a.Usable(time.Now()))
}

// At the very end of an ejection the address is usable, by every measure.
func TestTheEndOfAnEjection(t *testing.T) {
	s := NewSet(Options{})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
	a := s.Addresses()[0]
	a.ejected.Store(1000)
	for now, out := range map[int64]bool{999: true, 1000: false, 1001: false} {
		c := choice{set: s, snap: s.cur.Load(), now: now}
		rank, _ := c.rank(0)
		assert.Equal(t, out, rank&rankEjected != 0, now)
		assert.Equal(t, out, !a.usable(now), now)
	}
}

// The check of an address that comes back begins anew, also if connections kept the address alive meanwhile.
func TestTheCheckOfAnAddressThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, _ := checked(t, p, nil)
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		s.Update(two, nil)
		time.Sleep(30 * time.Second)
		a := s.Pick([]*Address{s.Addresses()[1]})
		s.Update(two[1:], nil)
		time.Sleep(30 * time.Second)
		gone := p.count(two[0])
		s.Update(two, nil)
		require.Same(t, a, s.Addresses()[0])
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Greater(t, p.count(two[0]), gone+1)
	})
}

// Close returns when no check runs any more, however long one takes to notice.
func TestCloseWaitsForChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		s := NewSet(Options{Check: Check{Interval: time.Second, Timeout: time.Minute, Rise: 1, Fall: 1, Probe: func(ctx context.Context, _ netip.AddrPort) error {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			return errors.New("late")
		}}})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		time.Sleep(5 * time.Second)
		require.EqualValues(t, 2, running.Load())
		begun := time.Now()
		s.Close()
		assert.Zero(t, running.Load())
		assert.Equal(t, 3*time.Second, time.Since(begun))
		assert.False(t, s.AllProven(), "what is cut short says nothing of the address")
	})
}
