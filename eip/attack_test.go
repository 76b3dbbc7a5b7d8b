package eip

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// These are what an attack on the keeper found, each with its story.

// A daemon that restarts right behind a claim does not see its address in a listing; it learns from a refusal that its
// interface has one, but not which. A release in that moment said that all was well and left the address behind.
func TestReleaseOfWhatIsNotKnownYet(t *testing.T) {
	met := 0
	for tenths := range 60 {
		t.Run(strconv.Itoa(tenths), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t, 3, 1, sim.EC2Options{RefuseSecond: true, RefuseRepeat: true, Lag: func() time.Duration { return 4 * time.Second }})
				_, stop := run(t, r.options(0))
				until(t, time.Minute, func() bool { return len(r.Holders()) == 1 })
				stop()
				k, stop := run(t, r.options(0))
				defer stop()
				time.Sleep(time.Duration(tenths) * 100 * time.Millisecond)
				if !strings.Contains(k.Status().Reason, "our interface has an address") {
					return
				}
				met++
				require.NoError(t, k.Release(t.Context()))
				require.Empty(t, r.Holders(), "left behind")
			})
		})
	}
	require.NotZero(t, met)
}

// A proxy on the way that answers for EC2 says nothing of what EC2 did.
func TestAnswersThatAreNotOfEC2(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"empty": {200, ""}, "a page": {200, "<html><body>welcome</body></html>"},
		"gateway timeout": {504, "<html><body>504 Gateway Time-out</body></html>"}, "bad gateway": {502, "bad gateway"},
		"redirect": {302, "<html></html>"}, "unauthorized": {407, "<html></html>"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t, 2, 1, sim.EC2Options{})
				o := r.options(0)
				between := &between{next: r.Transport(), status: answer.status, body: answer.body}
				o.Client = NewClient(testConfig(between))
				between.on.Store("AssociateAddress")
				k, stop := run(t, o)
				defer stop()
				until(t, time.Minute, func() bool { return len(r.Holders()) == 1 })
				between.on.Store("")
				until(t, time.Minute, held(k))
				hold, _ := k.Held()
				require.NotEmpty(t, hold.Association)

				time.Sleep(time.Minute)
				between.on.Store("DescribeAddresses")
				for range 600 {
					time.Sleep(time.Second)
					require.NoError(t, k.Check(), "what EC2 did not say ends nothing")
				}
				between.on.Store("")
				time.Sleep(time.Minute)
				require.NoError(t, k.Release(t.Context()))
				require.Empty(t, r.Holders())

				between.on.Store("AssociateAddress")
				k.Want(true)
				until(t, time.Minute, func() bool { return len(r.Holders()) == 1 })
				synctest.Wait()
				between.on.Store("")
				require.NoError(t, k.Release(t.Context()))
				require.Empty(t, r.Holders(), "left behind")
			})
		})
	}
}

// between stands between the keeper and EC2, lets calls take effect and answers in EC2's place.
type between struct {
	next   http.RoundTripper
	on     atomic.Value // the action
	status int
	body   string

	instead bool // the calls have no effect; set before on
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(strings.NewReader(string(text)))
	on, _ := b.on.Load().(string)
	meant := on != "" && strings.Contains(string(text), "Action="+on)
	if meant && b.instead {
		r.Body = io.NopCloser(strings.NewReader("Action=None"))
	}
	answer, err := b.next.RoundTrip(r)
	if err == nil && meant {
		answer.Body = io.NopCloser(strings.NewReader(b.body))
		answer.StatusCode, answer.Header = b.status, http.Header{"Content-Type": {"text/html"}}
		answer.ContentLength = int64(len(b.body))
	}
	return answer, err
}

// What a crashed daemon left on the interface, and could not be taken over in time, is given back as well.
func TestReleaseOfWhatCouldNotBeConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		r.Move(r.pool[0], eni(0))
		r.Configure(func(o *sim.EC2Options) {
			o.Fault = func(c sim.Call) sim.Fault {
				if c.Action == "AssociateAddress" {
					return sim.Internal
				}
				return sim.NoFault
			}
		})
		k, stop := run(t, r.options(0))
		defer stop()
		time.Sleep(time.Minute)
		require.Error(t, k.Check())
		require.NoError(t, k.Release(t.Context()))
		require.Empty(t, r.Holders(), "left behind")
	})
}

// A release that was given up, but took effect, used to leave the daemon ready for half a minute if it served again.
func TestWantedAgainAfterAReleaseWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		k, stop := run(t, r.options(0))
		defer stop()
		until(t, time.Minute, held(k))
		time.Sleep(5 * time.Minute)
		until(t, time.Minute, func() bool { return time.Since(k.Status().Verified) < time.Second })
		r.Configure(func(o *sim.EC2Options) {
			o.Fault = func(c sim.Call) sim.Fault {
				if c.Action == "DisassociateAddress" {
					return sim.LostResponse
				}
				return sim.NoFault
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.Error(t, k.Release(ctx))
		k.Want(true)
		time.Sleep(4 * time.Second)
		if _, held := k.Held(); held {
			require.Len(t, r.Holders(), 1, "ready although not held")
		}
	})
}

// Credentials that were replaced, or a clock that was set, in the moment of the release: the next attempt has it right.
func TestReleaseAfterExpiredCredentials(t *testing.T) {
	for _, code := range []string{"RequestExpired", "ExpiredToken", "AuthFailure"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t, 1, 1, sim.EC2Options{})
			o := r.options(0)
			refused := &between{next: r.Transport(), status: 400,
				body: "<Response><Errors><Error><Code>" + code + "</Code><Message>m</Message></Error></Errors></Response>"}
			o.Client = NewClient(testConfig(refused))
			k, stop := run(t, o)
			defer stop()
			until(t, time.Minute, held(k))
			time.Sleep(time.Minute)
			refused.instead = true
			refused.on.Store("DisassociateAddress")
			time.AfterFunc(2*time.Second, func() { refused.on.Store("") })
			require.NoError(t, k.Release(t.Context()), code)
			require.Empty(t, r.Holders())
		})
	}
}

// A daemon that crashed left its address to the next process; one that never came to want an address, as on standby or in a
// warm pool, left it for as long as the instance existed.
func TestReleaseOfWhatAnEarlierProcessLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 2, 1, sim.EC2Options{})
		foreign := r.AddAddress(nil)
		r.Move(r.pool[0], eni(0))
		k, stop := start(r.options(0))
		defer stop()
		time.Sleep(time.Hour)
		require.Len(t, r.Holders(), 1, "nothing is given back unasked")
		require.NoError(t, k.Release(t.Context()))
		require.Empty(t, r.Holders(), "left behind")

		r.Move(foreign, eni(0))
		k, stop = start(r.options(0))
		defer stop()
		require.NoError(t, k.Release(t.Context()))
		require.Len(t, r.Holders(), 1, "what is not of the pool is not ours")

		r.Configure(func(o *sim.EC2Options) { o.Fault = func(sim.Call) sim.Fault { return sim.Unreachable } })
		k, stop = start(r.options(0))
		defer stop()
		require.NoError(t, k.Release(t.Context()), "where nothing is known, nothing was left")
	})
}

// TestReleaseAtAnyMoment has daemons claim under faults and stop at a random moment, from which on EC2 works: who says that it
// has released has left nothing behind.
func TestReleaseAtAnyMoment(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { releaseAtAnyMoment(t, &dice{r: rand.New(rand.NewPCG(seed, 5))}) })
		})
	}
}

func releaseAtAnyMoment(t *testing.T, d *dice) {
	daemons := 1 + d.n(4)
	var calm atomic.Bool
	r := newRegion(t, 1+d.n(4), daemons, sim.EC2Options{
		RefuseSecond: d.oneIn(2), RefuseRepeat: d.oneIn(2),
		Latency: func() time.Duration { return d.upTo(2 * time.Second) },
		Lag:     func() time.Duration { return d.upTo(5 * time.Second) },
		Fault: func(sim.Call) sim.Fault {
			if calm.Load() || !d.oneIn(3) {
				return sim.NoFault
			}
			return sim.Fault(1 + d.n(int(sim.InternalDone)))
		},
	})
	var keepers []*Keeper
	for i := range daemons {
		k, stop := run(t, r.options(i))
		defer stop()
		keepers = append(keepers, k)
	}
	for range 10 {
		time.Sleep(d.upTo(4 * time.Second))
		if d.oneIn(3) {
			k := keepers[d.n(daemons)]
			k.Want(false)
			time.Sleep(d.upTo(3 * time.Second))
			k.Want(true)
		}
	}
	calm.Store(true)
	for i, k := range keepers {
		require.NoError(t, k.Release(t.Context()))
		for allocation, holder := range r.Holders() {
			require.NotEqual(t, eni(i), holder, "%s was left behind", allocation)
		}
	}
}
