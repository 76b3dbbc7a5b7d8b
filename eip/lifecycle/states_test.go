package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// The launch hook runs at the entry into the warm pool, and again on the way out of it; an address is wanted only then.
func TestTheWarmPool(t *testing.T) {
	warm := func(r *rig) { r.asg.LaunchWarm("aoai", "i-0a", r.imds, "Warmed:Running") }
	run(t, []sim.Hook{launch, terminate}, warm, func(t *testing.T, r *rig) {
		require.Equal(t, []lifecycle.Intent{lifecycle.Rest}, r.intents())
		require.ErrorContains(t, r.watcher.Check(), "warm pool")
		tick()
		require.Equal(t, "Warmed:Pending:Wait", r.asg.State("i-0a"))
		r.watcher.Done(r.watcher.Order())
		synctest.Wait()
		require.Equal(t, "Warmed:Running", r.asg.State("i-0a"))
		require.Equal(t, lifecycle.Warmed, r.watcher.Status().State)
		tick()
		calls := len(r.asg.Calls())
		time.Sleep(time.Hour)
		require.Len(t, r.asg.Calls(), calls, "nothing to ask while it is warm")

		r.asg.Use("i-0a")
		tick()
		require.Equal(t, []lifecycle.Intent{lifecycle.Rest, lifecycle.Serve}, r.intents())
		require.Equal(t, "Pending:Wait", r.asg.State("i-0a"))
		r.ready.Store(true)
		tick()
		require.Equal(t, "InService", r.asg.State("i-0a"))
		require.Equal(t, 2, r.did("CompleteLifecycleAction up CONTINUE"))

		r.asg.Reuse("i-0a", "Warmed:Running") // scale-in with the reuse policy: the hook of a termination
		tick()
		require.Equal(t, lifecycle.Rest, r.watcher.Order().Intent)
		time.Sleep(3 * terminate.Timeout)
		require.Equal(t, "Warmed:Pending:Wait", r.asg.State("i-0a"), "connections may end first")
		r.watcher.Done(r.watcher.Order())
		synctest.Wait()
		require.Equal(t, "Warmed:Running", r.asg.State("i-0a"))
	})
}

// A look at the metadata may come before Auto Scaling has written to it.
func TestAWarmInstanceWithoutATargetStateYet(t *testing.T) {
	arrange := func(r *rig) {
		r.asg.LaunchWarm("aoai", "i-0a", r.imds, "Warmed:Stopped")
		r.imds.Set(target, "")
	}
	run(t, []sim.Hook{launch}, arrange, func(t *testing.T, r *rig) {
		require.Equal(t, []lifecycle.Intent{lifecycle.Rest}, r.intents())
	})
}

func TestStandbyAndDetached(t *testing.T) {
	run(t, []sim.Hook{launch, terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Standby("i-0a")
		tick()
		require.Equal(t, lifecycle.Idle, r.watcher.Order().Intent)
		require.ErrorContains(t, r.watcher.Check(), "standby")
		r.asg.Return("i-0a")
		tick()
		require.NoError(t, r.watcher.Check())
		r.asg.Detach("i-0a")
		tick()
		require.Equal(t, lifecycle.Detached, r.watcher.Status().State)
		require.NoError(t, r.watcher.Check())
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve, lifecycle.Idle, lifecycle.Serve, lifecycle.Serve}, r.intents())
		require.Equal(t, 1, r.did("CompleteLifecycleAction"))
	})
}

// Who has begun to drain does not come back, but may learn that there is less time than thought.
func TestAnOrderToLeaveStays(t *testing.T) {
	run(t, nil, serving, func(t *testing.T, r *rig) {
		r.imds.Rebalance(time.Now())
		tick()
		require.Equal(t, lifecycle.Rebalancing, r.watcher.Order().State)
		r.imds.Set("events/recommendations/rebalance", "")
		tick()
		require.Equal(t, lifecycle.Rebalancing, r.watcher.Order().State)
		by := time.Now().Add(2 * time.Minute).Truncate(time.Second).UTC()
		r.imds.Interrupt("terminate", by)
		tick()
		require.Equal(t, lifecycle.Interrupted, r.watcher.Order().State)
		require.Equal(t, by, r.watcher.Order().By)
		r.imds.Interrupt("terminate", by.Add(time.Minute))
		tick()
		require.Equal(t, by, r.watcher.Order().By, "a second limit does not begin the drain anew")
		r.imds.Set("spot/instance-action", "")
		r.asg.Terminate("i-0a")
		tick()
		require.Equal(t, by, r.watcher.Order().By)
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve, lifecycle.Leave, lifecycle.Leave}, r.intents())
	})
}

func TestNoticesOfSpot(t *testing.T) {
	at := time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC) // a bubble's time begins at 2000-01-01
	cases := map[string]struct {
		give  func(*rig)
		state lifecycle.State
		by    time.Time
		why   string
	}{
		"interruption": {func(r *rig) { r.imds.Interrupt("terminate", at) }, lifecycle.Interrupted, at, "Spot takes the instance away (terminate) at 00:02:00 UTC"},
		"rebalance":    {func(r *rig) { r.imds.Rebalance(at) }, lifecycle.Rebalancing, time.Time{}, "Spot advises to replace the instance"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
				tick()
				c.give(r)
				tick()
				require.Equal(t, lifecycle.Order{Intent: lifecycle.Leave, State: c.state, Why: c.why, By: c.by}, r.watcher.Order())
				r.asg.Terminate("i-0a")
				require.NoError(t, r.watcher.Finish(t.Context()))
				require.Equal(t, "Terminated", r.asg.State("i-0a"))
			})
		})
	}
}
