package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// These are what an attack on the watcher found, each with its story.

const (
	spotAction = "spot/instance-action"
	rebalance  = "events/recommendations/rebalance"
)

// One item of the metadata that could not be read hid the others: a termination was not seen while the notices of Spot
// failed, nor a notice of two minutes while the recommendation did.
func TestAnItemThatFailsHidesNoOther(t *testing.T) {
	for _, broken := range []string{spotAction, rebalance} {
		t.Run(broken+" and the target state", func(t *testing.T) {
			run(t, nil, func(r *rig) { serving(r); r.imds.Set(broken, "<html>") }, func(t *testing.T, r *rig) {
				require.NoError(t, r.watcher.Check(), "it serves")
				r.asg.Terminate("i-0a")
				tick()
				require.Equal(t, lifecycle.Leave, r.watcher.Order().Intent)
			})
		})
	}
	t.Run("the interruption", func(t *testing.T) {
		run(t, nil, func(r *rig) { serving(r); r.imds.Set(rebalance, "<html>") }, func(t *testing.T, r *rig) {
			r.imds.Interrupt("terminate", time.Now().Add(2*time.Minute))
			tick()
			require.Equal(t, lifecycle.Interrupted, r.watcher.Order().State)
		})
	})
}

// A page in place of the target state was a state that nobody knows, which is one to serve in.
func TestAPageIsNoTargetState(t *testing.T) {
	run(t, nil, serving, func(t *testing.T, r *rig) {
		r.asg.Standby("i-0a")
		tick()
		r.imds.Set(target, "<html><body>It works!</body></html>")
		tick()
		require.Equal(t, lifecycle.Idle, r.watcher.Order().Intent)
	})
}

// Where nobody asked Auto Scaling for anything, a role without its permissions had the daemon ask every 5 s for ever.
func TestARefusedLookupIsNotRepeatedAtEachLook(t *testing.T) {
	run(t, nil, func(r *rig) { r.asg.Deny("DescribeAutoScalingInstances"); r.ready.Store(true) }, func(t *testing.T, r *rig) {
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.NoError(t, r.watcher.Check())
		require.LessOrEqual(t, r.did("DescribeAutoScalingInstances"), 12, "once a minute")
	})
}

// One answer of the API that did not show the instance, though its metadata said that it is in a group, was the end of all
// hooks: a launch timed out, and so did a termination.
func TestAnAnswerWithoutTheInstanceIsNotBelievedAtOnce(t *testing.T) {
	run(t, []sim.Hook{launch}, func(r *rig) { launched(r); r.ready.Store(true); r.hidden.Store(2) }, func(t *testing.T, r *rig) {
		time.Sleep(30 * time.Second)
		require.Equal(t, "InService", r.asg.State("i-0a"))
	})
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.hidden.Store(2)
		r.asg.Terminate("i-0a")
		tick()
		require.NoError(t, r.watcher.Finish(t.Context()))
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
	})
	run(t, nil, serving, func(t *testing.T, r *rig) {
		tick()
		r.hidden.Store(1 << 20)
		r.asg.Terminate("i-0a")
		tick()
		begun := time.Now()
		require.NoError(t, r.watcher.Finish(t.Context()), "in the end it is believed")
		require.Less(t, time.Since(begun), 30*time.Second)
	})
}
