package eip

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// A person is not kept waiting for what waiting does not mend, and is for what it does.
func TestClaimByHandWaitsOnlyForWhatMayCome(t *testing.T) {
	claim := func(t *testing.T, r *region, daemon int) (took time.Duration, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err = Claim(ctx, r.options(daemon))
		return time.Since(start), err
	}
	t.Run("no permission", func(t *testing.T) {
		for _, action := range []string{"DescribeAddresses", "AssociateAddress"} {
			synctest.Test(t, func(t *testing.T) {
				took, err := claim(t, newRegion(t, 1, 1, sim.EC2Options{Denied: map[string]bool{action: true}}), 0)
				require.ErrorContains(t, err, "ec2:"+action)
				require.Less(t, took, 5*time.Second)
			})
		}
	})
	t.Run("no such interface", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			took, err := claim(t, newRegion(t, 1, 1, sim.EC2Options{}), 7)
			require.ErrorContains(t, err, "InvalidNetworkInterfaceID.NotFound")
			require.Less(t, took, 5*time.Second)
		})
	})
	t.Run("none free", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t, 1, 2, sim.EC2Options{})
			r.Move(r.pool[0], eni(1))
			time.AfterFunc(20*time.Second, func() { r.Move(r.pool[0], "") })
			_, err := claim(t, r, 0)
			require.NoError(t, err)
		})
	})
	t.Run("no time at all", func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Claim(ctx, r.options(0))
		require.EqualError(t, err, "claim an address for "+eni(0)+": context canceled before EC2 was asked")
	})
}

// An answer that is not EC2's is told as such.
func TestAnotherServerAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	cfg := testConfig(server.Client().Transport)
	cfg.BaseEndpoint = &server.URL
	_, err := List(t.Context(), NewClient(cfg), selector(t, "tag:a=b"))
	require.ErrorContains(t, err, "HTTP status 404 without an error of EC2")
}

// A manual claim has ended all it did when it returns, and leaves no call under way.
func TestManualClaimLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := 0
		s := &script{describe: func() ([]types.Address, error) {
			running++
			time.Sleep(3 * time.Second)
			running--
			return nil, context.DeadlineExceeded
		}}
		k := scripted(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := Claim(ctx, k.o)
		require.Error(t, err)
		require.Zero(t, running)
	})
}

func TestManualRelease(t *testing.T) {
	foreign := entry(2, "eni-1", "10.0.0.1")
	foreign.Tags = nil
	s := &script{}
	o := scripted(t, s).o
	for name, all := range map[string][]types.Address{"none": nil, "of another interface": {entry(1, "eni-2", "10.0.0.1")}, "not of the pool": {foreign}} {
		s.describe, s.calls = listing(all...), nil
		hold, err := ReleaseOwn(t.Context(), o)
		require.NoError(t, err, name)
		require.Equal(t, Hold{}, hold, name)
		require.Len(t, s.calls, 1)
	}
	s.describe, s.calls = listing(entry(1, "eni-1", "10.0.0.1")), nil
	hold, err := ReleaseOwn(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, Hold{Public: mustAddr("198.51.0.1"), Allocation: "eipalloc-00000001", Association: "eipassoc-1"}, hold)
	require.Equal(t, []string{"describe", "disassociate eipassoc-1"}, s.calls)

	s.disassociate = func(string) error { return answered("UnauthorizedOperation", "m", 403) }
	_, err = ReleaseOwn(t.Context(), o)
	require.ErrorContains(t, err, "ec2:DisassociateAddress")
	s.describe = func() ([]types.Address, error) { return nil, answered("UnauthorizedOperation", "m", 403) }
	_, err = ReleaseOwn(t.Context(), o)
	require.ErrorContains(t, err, "list the addresses of eni-1: ec2:DescribeAddresses on * is not permitted")
}

// A manual claim returns as soon as it has the address, and ends at once if it may not confirm the one that the interface has.
func TestManualClaimDoesNotWaitLongerThanItMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing(entry(1, "", ""))}
		o := scripted(t, s).o
		began := time.Now()
		hold, err := Claim(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, "eipalloc-00000001", hold.Allocation)
		require.Zero(t, time.Since(began))

		s.describe = listing(entry(1, "eni-1", "10.0.0.1"))
		s.associate = func(string) (string, error) { return "", answered("Novel", "m", 400) }
		_, err = Claim(t.Context(), o)
		require.EqualError(t, err, "keep eipalloc-00000001: Novel: m")
		require.Zero(t, time.Since(began))
	})
}
