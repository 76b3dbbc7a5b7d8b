package lifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestAnInstanceInNoGroupServesAndAsksOnce(t *testing.T) {
	run(t, nil, func(*rig) {}, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve}, r.intents())
		require.Equal(t, []string{"DescribeAutoScalingInstances"}, r.asg.Calls())
		require.Equal(t, lifecycle.Alone, r.watcher.Status().State)
		require.NoError(t, r.watcher.Check())
		require.NoError(t, r.watcher.Finish(t.Context()))
	})
}

func TestTheMetadataAreAskedEvery5To6Seconds(t *testing.T) {
	run(t, nil, serving, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)
		require.InDelta(t, 3600/5.5, r.imds.Asked(target), 12)
		require.LessOrEqual(t, r.imds.Asked(target), 720, "not more often than every 5 s")
		require.Equal(t, r.imds.Asked(target), r.imds.Asked("spot/instance-action"))
		require.LessOrEqual(t, len(r.asg.Calls()), 4, "in service, the API is left alone")
	})
}

// The launch hook keeps the instance from the load balancer: it is completed once ready, and not a look earlier.
func TestTheLaunchHookIsCompletedOnceReady(t *testing.T) {
	run(t, []sim.Hook{launch, terminate}, launched, func(t *testing.T, r *rig) {
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, "Pending:Wait", r.asg.State("i-0a"))
		s := r.watcher.Status()
		require.Equal(t, lifecycle.Pending, s.State)
		require.Equal(t, "aoai", s.Group)
		require.Equal(t, []string{"up (launch)", "down (terminate)"}, s.Hooks)
		require.NoError(t, r.watcher.Check())
		require.LessOrEqual(t, len(r.asg.Calls()), 3, "what is not ready has nothing to ask")

		r.ready.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, "InService", r.asg.State("i-0a"))
		require.Equal(t, 1, r.did("CompleteLifecycleAction up CONTINUE"))
		tick()
		require.Equal(t, lifecycle.InService, r.watcher.Status().State)
		calls := len(r.asg.Calls())
		time.Sleep(time.Hour)
		require.Len(t, r.asg.Calls(), calls)
	})
}

func TestALaunchThatNeverGetsReadyIsAbandoned(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		time.Sleep(launch.Timeout + time.Second)
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
		require.Zero(t, r.did("RecordLifecycleActionHeartbeat"), "only a drain prolongs a hook")
		require.Zero(t, r.did("CompleteLifecycleAction"))
		tick()
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve, lifecycle.Leave}, r.intents())
		require.NoError(t, r.watcher.Finish(t.Context()))
	})
}

// The metadata say Terminated while the load balancer still drains: leave at once, but complete the hook only when it
// waits.
func TestATermination(t *testing.T) {
	run(t, []sim.Hook{launch, terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Deregistering("i-0a")
		tick()
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve, lifecycle.Leave}, r.intents())
		require.ErrorContains(t, r.watcher.Check(), "Auto Scaling terminates the instance")
		tick()
		require.Zero(t, r.did("RecordLifecycleActionHeartbeat"), "no hook waits yet")

		r.asg.Terminate("i-0a") // deregistered
		time.Sleep(10 * terminate.Timeout)
		synctest.Wait()
		require.Equal(t, "Terminating:Wait", r.asg.State("i-0a"), "the drain outlives the hook's timeout by heartbeats")
		require.InDelta(t, 20, r.did("RecordLifecycleActionHeartbeat down"), 3, "two in each timeout")
		require.Zero(t, r.did("CompleteLifecycleAction down"))

		require.NoError(t, r.watcher.Finish(t.Context())) // drained, released
		require.Equal(t, 1, r.did("CompleteLifecycleAction down CONTINUE"))
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
	})
}

func TestADrainThatIsOverBeforeTheHookWaits(t *testing.T) {
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		r.asg.Deregistering("i-0a")
		tick()
		done := make(chan error, 1)
		go func() { done <- r.watcher.Finish(t.Context()) }()
		time.Sleep(5 * time.Minute)
		require.Empty(t, done)
		require.Zero(t, r.did("CompleteLifecycleAction"), "never outside of Terminating:Wait")
		r.asg.Terminate("i-0a")
		tick()
		require.NoError(t, <-done)
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
	})
}

func TestFinishIsBounded(t *testing.T) {
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		r.asg.Deregistering("i-0a")
		tick()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorContains(t, r.watcher.Finish(ctx), `the instance is in state "Terminating" of group aoai`)
	})
}

func TestWithoutATerminationHookNothingIsWaitedFor(t *testing.T) {
	run(t, []sim.Hook{launch}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Deregistering("i-0a")
		tick()
		begun := time.Now()
		require.NoError(t, r.watcher.Finish(t.Context()))
		require.Zero(t, time.Since(begun))
	})
}

func TestSIGTERMInServiceCompletesNothing(t *testing.T) {
	run(t, []sim.Hook{launch, terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		begun := time.Now()
		require.NoError(t, r.watcher.Finish(t.Context()))
		require.Zero(t, time.Since(begun))
		require.Zero(t, r.did("CompleteLifecycleAction down"))
	})
}
