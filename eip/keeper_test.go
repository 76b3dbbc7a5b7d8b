package eip

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

func held(k *Keeper) func() bool {
	return func() bool { _, ok := k.Held(); return ok }
}

func TestClaimKeepReleaseInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 2, 1, sim.EC2Options{})
		var events []EventKind
		o := r.options(0)
		o.OnEvent = func(e Event) { events = append(events, e.Kind) }
		k, stop := run(t, o)
		require.ErrorContains(t, k.Check(), "no address is held yet")
		until(t, time.Minute, held(k))
		first, _ := k.Held()
		require.NoError(t, k.Check())
		stop() // a crash

		k, stop = run(t, o)
		defer stop()
		until(t, time.Minute, held(k))
		again, _ := k.Held()
		require.Equal(t, first.Allocation, again.Allocation, "a restart does not change the address")
		require.Equal(t, first.Association, again.Association)
		require.NoError(t, k.Release(t.Context()))
		time.Sleep(10 * time.Minute)
		require.Empty(t, r.Holders(), "nothing is claimed after Release")
		require.Equal(t, []EventKind{Claimed, Found, Released}, events)
	})
}

func TestNeverReleasedIfNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		o := r.options(0)
		o.Release = ReleaseNever
		k, stop := run(t, o)
		defer stop()
		until(t, time.Minute, held(k))
		require.NoError(t, k.Release(t.Context()))
		require.Len(t, r.Holders(), 1)
	})
}

// What was taken by somebody else is not released, and another one is claimed within two intervals.
func TestTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 2, 2, sim.EC2Options{})
		k, lost, stop := runCounting(t, r.options(0))
		defer stop()
		until(t, time.Minute, held(k))
		time.Sleep(5 * time.Minute)
		first, _ := k.Held()
		r.Move(first.Allocation, eni(1))
		// By the event: another address may be claimed in the same instant, so that Check fails for no time at all.
		took := until(t, time.Minute, func() bool { return lost.Load() == 1 })
		require.LessOrEqual(t, took, 2*30*time.Second)
		until(t, time.Minute, held(k))
		second, _ := k.Held()
		require.NotEqual(t, first.Allocation, second.Allocation)
		require.Equal(t, eni(1), r.Holders()[first.Allocation])

		r.Move(second.Allocation, "")
		r.Move(second.Allocation, eni(1)) // before it is noticed
		require.NoError(t, k.Release(t.Context()))
		require.Equal(t, eni(1), r.Holders()[second.Allocation], "by then it is somebody else's")
	})
}

func TestEmptyPoolSaysWhoHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 2, sim.EC2Options{})
		r.Move(r.pool[0], eni(1))
		k, stop := run(t, r.options(0))
		defer stop()
		time.Sleep(time.Minute)
		require.ErrorContains(t, k.Check(), "has 1 address, which is not free: 198.51.0.1 by i-00000000000000001")
		require.Less(t, r.Calls()["DescribeAddresses ok"], 15)
		r.DeleteInterface(eni(1))
		until(t, time.Minute, held(k))
	})
}

// An address that is not of the pool is not dropped by a claim, which EC2 would do silently.
func TestForeignAddressIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		foreign := r.AddAddress(nil)
		r.Move(foreign, eni(0))
		k, stop := run(t, r.options(0))
		defer stop()
		time.Sleep(2 * time.Minute)
		require.ErrorContains(t, k.Check(), "which is not in the pool")
		require.Equal(t, eni(0), r.Holders()[foreign])
	})
}

func TestMissingPermissionIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{Denied: map[string]bool{"AssociateAddress": true}})
		k, stop := run(t, r.options(0))
		defer stop()
		time.Sleep(time.Minute)
		require.ErrorContains(t, k.Check(), "ec2:AssociateAddress on arn:aws:ec2:*:*:elastic-ip/"+r.pool[0])
		require.ErrorContains(t, k.Check(), `{"Effect":"Allow","Action":"ec2:AssociateAddress"`)

		o := r.options(0)
		missing, err := missingPermissions(t.Context(), o.Client, o.Selector, o.Interface, o.PrivateIP)
		require.NoError(t, err)
		require.Len(t, missing, 1)
		require.Equal(t, "ec2:AssociateAddress", missing[0].Action)
		require.Empty(t, r.Holders())
	})
}

// Release ends in time and with an error when EC2 cannot be reached; readiness survives that.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		k, stop := run(t, r.options(0))
		defer stop()
		until(t, time.Minute, held(k))
		r.Configure(func(o *sim.EC2Options) { o.Fault = func(sim.Call) sim.Fault { return sim.Unreachable } })
		time.Sleep(10 * time.Minute)
		require.NoError(t, k.Check())
		start := time.Now()
		require.ErrorContains(t, k.Release(t.Context()), "is still associated with "+eni(0))
		require.LessOrEqual(t, time.Since(start), 45*time.Second)
	})
}

// The simulation over a socket, and what the whole keeper is there to avoid: an association that says nothing steals.
func TestSimulationStealsIfNothingIsSaid(t *testing.T) {
	r := newRegion(t, 2, 2, sim.EC2Options{})
	server := httptest.NewServer(r)
	defer server.Close()
	transport := server.Client().Transport
	defer server.Client().CloseIdleConnections()
	cfg := testConfig(transport)
	cfg.BaseEndpoint = aws.String(server.URL)
	client := ec2.NewFromConfig(cfg)
	associate := func(allocation, to string) error {
		_, err := client.AssociateAddress(context.Background(), &ec2.AssociateAddressInput{AllocationId: &allocation, NetworkInterfaceId: &to})
		return err
	}
	require.NoError(t, associate(r.pool[0], eni(0)))
	require.NoError(t, associate(r.pool[0], eni(1)))
	require.Equal(t, map[string]string{r.pool[0]: eni(1)}, r.Holders())
	require.NoError(t, associate(r.pool[1], eni(1)))
	require.Equal(t, map[string]string{r.pool[1]: eni(1)}, r.Holders(), "the second one dropped the first")
}
