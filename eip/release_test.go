package eip

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// holding is a scripted keeper that holds the first address of the pool.
func holding(t *testing.T, s *script) *Keeper {
	k := scripted(t, s)
	k.setHeld(Claimed, Address{Public: mustAddr("198.51.0.1"), Allocation: "eipalloc-00000001"}, "eipassoc-1")
	k.listedOnce = true
	return k
}

// A release ends the association by its own id, and says whether it did or somebody else.
func TestReleaseEndsItsOwnAssociation(t *testing.T) {
	gone := answered("InvalidAssociationID.NotFound", "m", 400)
	for name, c := range map[string]struct {
		answers []error
		kind    EventKind
	}{
		"released":                         {[]error{nil}, Released},
		"taken away before":                {[]error{gone}, Lost},
		"released, and the answer is lost": {[]error{errors.New("connection reset"), gone}, Released},
		"after an internal error":          {[]error{answered("InternalError", "m", 500), nil}, Released},
		"throttled, then taken away":       {[]error{answered("RequestLimitExceeded", "m", 503), gone}, Lost},
		"after expired credentials":        {[]error{answered("ExpiredToken", "m", 403), nil}, Released},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				k := holding(t, s)
				var events []Event
				k.o.OnEvent = func(e Event) { events = append(events, e) }
				s.disassociate = func(string) error {
					answer := c.answers[0]
					c.answers = c.answers[1:]
					return answer
				}
				require.NoError(t, k.Release(t.Context()))
				require.Len(t, events, 1)
				require.Equal(t, c.kind, events[0].Kind)
				require.Equal(t, "eipalloc-00000001", events[0].Hold.Allocation)
				require.Equal(t, "eipassoc-1", k.ended)
				require.Equal(t, len(s.calls), s.count("disassociate eipassoc-1"))
				require.Equal(t, callTimeout, k.callLimit, "a claim after it has its time again")
				require.False(t, k.Status().Wanted)
			})
		})
	}
}

// A refusal that no repetition mends ends the release at once, with the address in its words.
func TestReleaseThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{disassociate: func(string) error { return answered("UnauthorizedOperation", "m", 403) }}
		k := holding(t, s)
		began := time.Now()
		err := k.Release(t.Context())
		require.ErrorContains(t, err, "release 198.51.0.1: disassociate eipalloc-00000001: ec2:DisassociateAddress on arn:aws:ec2:*:*:elastic-ip/eipalloc-00000001")
		require.Zero(t, time.Since(began))
		require.Len(t, s.calls, 1)
		_, held := k.Held()
		require.True(t, held)
	})
}

// Attempts of a release are repeated after 0.5, 1, 2, 4 and 5 s, and end with the context or after 30 s.
func TestReleaseIsRepeatedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		s := &script{disassociate: func(string) error {
			times = append(times, time.Now())
			return answered("RequestLimitExceeded", "m", 503)
		}}
		k := holding(t, s)
		began := time.Now()
		err := k.Release(t.Context())
		require.ErrorContains(t, err, "it was not released in time and is still associated with eni-1")
		require.Equal(t, 30*time.Second, time.Since(began))
		for i, wait := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second} {
			gap := times[i+1].Sub(times[i])
			require.GreaterOrEqual(t, gap, wait/2)
			require.LessOrEqual(t, gap, wait*3/2)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		require.Error(t, k.Release(ctx))
		require.Equal(t, time.Second, time.Since(began))
	})
}

// An unconfirmed claim is looked for until listings are reliable. A listing that fails proves nothing, however long it does.
func TestReleaseLooksForAnUnconfirmedClaim(t *testing.T) {
	ours, other := entry(1, "eni-1", "10.0.0.1"), entry(2, "eni-1", "10.0.0.1")
	foreign := entry(3, "eni-1", "10.0.0.1")
	foreign.Tags = nil
	failing := answered("InternalError", "m", 500)
	for name, c := range map[string]struct {
		claim    string
		answer   func(since time.Duration) ([]types.Address, error)
		released string
		took     time.Duration
	}{
		"shown at once": {"eipalloc-00000001", func(time.Duration) ([]types.Address, error) { return []types.Address{ours}, nil }, "eipassoc-1", 0},
		"shown after 9 s": {"eipalloc-00000001", func(since time.Duration) ([]types.Address, error) {
			if since < 9*time.Second {
				return nil, nil
			}
			return []types.Address{ours}, nil
		}, "eipassoc-1", 10 * time.Second},
		"never shown":                 {"eipalloc-00000001", func(time.Duration) ([]types.Address, error) { return nil, nil }, "", 12 * time.Second},
		"another address":             {"eipalloc-00000001", func(time.Duration) ([]types.Address, error) { return []types.Address{other}, nil }, "", 12 * time.Second},
		"any address of the pool":     {"", func(time.Duration) ([]types.Address, error) { return []types.Address{other}, nil }, "eipassoc-2", 0},
		"one that is not of the pool": {"", func(time.Duration) ([]types.Address, error) { return []types.Address{foreign}, nil }, "", 12 * time.Second},
		"EC2 fails for 15 s": {"eipalloc-00000001", func(since time.Duration) ([]types.Address, error) {
			if since < 15*time.Second {
				return nil, failing
			}
			return []types.Address{ours}, nil
		}, "eipassoc-1", 16 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := &script{describe: func() ([]types.Address, error) { return c.answer(time.Since(began)) }}
				k := scripted(t, s)
				k.listedOnce = true
				k.unconfirmed = unconfirmed{allocation: c.claim, since: time.Now()}
				require.NoError(t, k.Release(t.Context()))
				require.Equal(t, c.took, time.Since(began))
				require.Equal(t, unconfirmed{}, k.unconfirmed)
				if c.released == "" {
					require.Zero(t, s.count("disassociate"))
				} else {
					require.Equal(t, "disassociate "+c.released, s.calls[len(s.calls)-1])
				}
			})
		})
	}
	t.Run("EC2 fails for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{describe: func() ([]types.Address, error) { return nil, failing }}
			k := scripted(t, s)
			k.listedOnce = true
			k.unconfirmed = unconfirmed{allocation: "eipalloc-00000001"}
			require.ErrorContains(t, k.Release(t.Context()), "release eipalloc-00000001: it is not known whether it is on eni-1: context deadline exceeded")
			k.unconfirmed = unconfirmed{since: time.Now()}
			require.ErrorContains(t, k.Release(t.Context()), "release the address: it is not known")
			require.NotEqual(t, unconfirmed{}, k.unconfirmed, "the next release looks again")
		})
	})
	t.Run("the release is refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{describe: listing(ours), disassociate: func(string) error { return answered("UnauthorizedOperation", "m", 403) }}
			k := scripted(t, s)
			k.listedOnce = true
			k.unconfirmed = unconfirmed{since: time.Now()}
			require.Error(t, k.Release(t.Context()))
			require.Equal(t, unconfirmed{allocation: "eipalloc-00000001"}, k.unconfirmed)
		})
	})
}

// A keeper that is not wanted, and may not release, tries again every 30 s and shows why; it does not ask EC2 without pause.
func TestReleaseOfAKeeperThatIsNotWantedIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		k, stop := run(t, r.options(0))
		defer stop()
		until(t, time.Minute, held(k))
		r.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{"DisassociateAddress": true} })
		k.Want(false)
		time.Sleep(10 * time.Minute)
		require.ErrorContains(t, errors.New(k.Status().Reason), "ec2:DisassociateAddress")
		denied := r.Calls()["DisassociateAddress UnauthorizedOperation"]
		require.GreaterOrEqual(t, denied, 18)
		require.LessOrEqual(t, denied, 21)
		r.Configure(func(o *sim.EC2Options) { o.Denied = nil })
		time.Sleep(31 * time.Second)
		require.Empty(t, r.Holders())
		calls := len(r.Calls())
		time.Sleep(time.Hour)
		require.Len(t, r.Calls(), calls)
	})
}

// With the policy never, nothing is ever given back, nor looked for.
func TestNeverMeansNever(t *testing.T) {
	s := &script{describe: listing(entry(1, "eni-1", "10.0.0.1"))}
	k := holding(t, s)
	k.o.Release, k.listedOnce = ReleaseNever, false
	require.NoError(t, k.Release(t.Context()))
	require.Empty(t, s.calls)
	_, held := k.Held()
	require.True(t, held)
}

// A release that cannot begin in time says so.
func TestReleaseBehindACallThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := holding(t, &script{})
		require.True(t, k.lockCalls(t.Context()))
		began := time.Now()
		require.ErrorContains(t, k.Release(t.Context()), "release the address: context deadline exceeded while another call of EC2 was under way")
		require.Equal(t, 30*time.Second, time.Since(began))
		k.unlockCalls()
		require.NoError(t, k.Release(t.Context()))
	})
}

// The log has a warning for an address that was lost, and information for the other changes; each has the address.
func TestChangesAreLogged(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	k := New(Options{Client: &script{}, Logger: zap.New(core)})
	k.setHeld(Claimed, Address{Public: mustAddr("198.51.0.1"), Allocation: "eipalloc-1"}, "eipassoc-1")
	hold, _ := k.Held()
	k.setNotHeld(Lost, hold, "taken")
	k.setNotHeld(Released, hold, "")
	k.setReason("r")
	k.setReason("r")
	k.setReason("s")
	var got []string
	for _, e := range logs.All() {
		got = append(got, e.Level.String()+" "+e.Message)
		if fields := e.ContextMap(); e.Message == "eip lost" || e.Message == "eip claimed" || e.Message == "eip released" {
			require.Equal(t, "198.51.0.1", fields["address"])
			require.Equal(t, "eipalloc-1", fields["allocation"])
			require.Equal(t, "eipassoc-1", fields["association"])
		}
	}
	require.Equal(t, []string{"info eip claimed", "warn eip lost", "info eip released", "warn eip not settled", "debug eip still not settled", "warn eip not settled"}, got)
	require.Equal(t, "taken", logs.FilterMessage("eip lost").All()[0].ContextMap()["why"])
}

// Want that changes nothing must not wake the keeper: it would cut its backoff short.
func TestWantThatChangesNothingWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 2, sim.EC2Options{})
		r.Move(r.pool[0], eni(1))
		k, stop := run(t, r.options(0))
		defer stop()
		for range 600 {
			time.Sleep(time.Second)
			k.Want(true)
		}
		require.Less(t, r.Calls()["DescribeAddresses ok"], 40)
	})
}
