package eip

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// mute is a way to EC2 on which calls of one action get no answer: as many of them as it says.
type mute struct {
	next    http.RoundTripper
	action  string
	deaf    bool // they have no effect either
	silent  atomic.Int32
	waiting atomic.Int32
}

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(strings.NewReader(string(text)))
	if !strings.Contains(string(text), "Action="+m.action) || m.silent.Add(-1) < 0 {
		return m.next.RoundTrip(r)
	}
	if !m.deaf {
		answer, err := m.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
	}
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// cutShort is the time that a release has after a second signal.
func cutShort(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A call without an answer took 10 s, all that a release has after a second signal: the address was left behind.
func TestACallUnderWayLeavesTimeForTheRelease(t *testing.T) {
	for name, deaf := range map[string]bool{"it took effect": false, "it did not": true} {
		t.Run("a claim, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t, 1, 1, sim.EC2Options{Latency: func() time.Duration { return 200 * time.Millisecond }})
				way := &mute{next: r.Transport(), action: "AssociateAddress", deaf: deaf}
				way.silent.Store(1)
				o := r.options(0)
				o.Client = NewClient(testConfig(way))
				k, stop := run(t, o)
				defer stop()
				until(t, time.Minute, func() bool { return way.waiting.Load() == 1 })
				err := k.Release(cutShort(t))
				require.Empty(t, r.Holders())
				if !deaf {
					require.NoError(t, err)
				}
			})
		})
	}
	t.Run("a verification", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t, 1, 1, sim.EC2Options{Latency: func() time.Duration { return 200 * time.Millisecond }})
			way := &mute{next: r.Transport(), action: "DescribeAddresses"}
			o := r.options(0)
			o.Client = NewClient(testConfig(way))
			k, stop := run(t, o)
			defer stop()
			until(t, time.Minute, held(k))
			way.silent.Store(1000)
			until(t, 2*time.Minute, func() bool { return way.waiting.Load() == 1 })
			begun := time.Now()
			require.NoError(t, k.Release(cutShort(t)))
			require.Less(t, time.Since(begun), 5*time.Second)
			require.Empty(t, r.Holders())
		})
	})
	t.Run("one of the release itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t, 1, 1, sim.EC2Options{Latency: func() time.Duration { return 200 * time.Millisecond }})
			way := &mute{next: r.Transport(), action: "DisassociateAddress", deaf: true}
			o := r.options(0)
			o.Client = NewClient(testConfig(way))
			k, stop := run(t, o)
			defer stop()
			until(t, time.Minute, held(k))
			way.silent.Store(1)
			require.NoError(t, k.Release(cutShort(t)))
			require.Empty(t, r.Holders())
		})
	})
}
