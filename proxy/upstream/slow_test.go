package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// An address that does not answer used to be picked by every client that came, since it has the fewest connections.
func TestOutpacedAddressIsAvoidedForLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		slow, good := s.Addresses()[0], s.Addresses()[1]
		for range 10 {
			good.active.Add(1) // slow is the least busy all the time
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			for range 5 { // lost together, which counts once
				s.Outpaced(slow, time.Now())
			}
			time.Sleep(want*time.Second - time.Millisecond)
			assert.True(t, slow.Avoided(time.Now()), "time %d", i+1)
			assert.Same(t, good, s.Pick(nil), "time %d", i+1)
			time.Sleep(time.Millisecond)
			assert.Same(t, good, s.Pick([]*Address{slow}), "not beside another either")
			assert.Same(t, slow, s.Pick(nil), "one attempt shows whether it is slow still")
			assert.Same(t, good, s.Pick(nil), "and one only")
			slow.Release()
		}
		assert.Zero(t, slow.Failures(), "it has not failed")
		s.Connected(slow)
		assert.False(t, slow.Avoided(time.Now()))
		assert.Same(t, slow, s.Pick(nil))
		assert.Same(t, slow, s.Pick(nil))
	})
}

// A trial that nobody hears of again does not keep the address out.
func TestTrialWithoutOutcomeIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		slow, good := s.Addresses()[0], s.Addresses()[1]
		good.active.Add(10)
		s.Outpaced(slow, time.Now())
		for range 3 {
			time.Sleep(time.Second)
			assert.Same(t, slow, s.Pick(nil))
			slow.Release()
		}
	})
}

func TestPickBesideTakesWhatIsUsableAndUntried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Minute, MaxEjectedPercent: 100}})
		assert.Nil(t, s.PickBeside(nil), "an empty set")
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), addrs("127.0.0.3:1"))
		a, b, backup := s.Addresses()[0], s.Addresses()[1], s.Addresses()[2]
		assert.Same(t, b, s.PickBeside([]*Address{a}))
		assert.EqualValues(t, 1, b.Active())
		assert.Same(t, backup, s.PickBeside([]*Address{a, b}), "each primary was tried")
		assert.Nil(t, s.PickBeside([]*Address{a, b, backup}), "a repeat is no help")
		s.Failed(b, time.Now())
		s.Failed(backup, time.Now())
		assert.Nil(t, s.PickBeside([]*Address{a}), "ejected ones are tried only when nothing else is left")
		assert.EqualValues(t, 1, b.Active()+backup.Active()-1, "what was not picked is not in use")
	})
}

// An address that never lost a race is not on trial: two attempts that lose together count once, as those of any other do.
func TestOnlySlowAddressesAreOnTrial(t *testing.T) {
	now := time.Now()
	r := &record{}
	r.tryAgain(now.UnixNano())
	now = now.Add(2 * avoidFirst)
	r.outpaced(now)
	r.outpaced(now)
	assert.EqualValues(t, 1, r.slow.Load())
}
