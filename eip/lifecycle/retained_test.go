package lifecycle_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func retaining(r *rig) { serving(r); r.asg.Retain("aoai") }

// A group with an instance lifecycle policy retains an instance whose termination hook timed out. The daemon waited for a state in
// which the hook could be completed until systemd killed it, and the status showed a termination.
func TestARetainedInstanceHasNoHookLeft(t *testing.T) {
	run(t, []sim.Hook{terminate}, retaining, func(t *testing.T, r *rig) {
		tick()
		r.asg.Deny("RecordLifecycleActionHeartbeat")
		r.asg.Terminate("i-0a")
		tick()
		require.Equal(t, lifecycle.Leave, r.watcher.Order().Intent)
		require.Equal(t, lifecycle.Terminating, r.watcher.Status().State)
		time.Sleep(2 * terminate.Timeout) // the drain lasts longer
		require.Equal(t, "Terminating:Retained", r.asg.State("i-0a"))
		tick()
		require.Equal(t, lifecycle.Retained, r.watcher.Status().State)
		require.Equal(t, 1, r.logs.FilterMessage("lifecycle: the instance is retained").FilterLevelExact(zap.WarnLevel).Len())
		begun := time.Now()
		require.NoError(t, r.watcher.Finish(t.Context()))
		require.Zero(t, time.Since(begun))
		require.Zero(t, r.did("CompleteLifecycleAction"))
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve, lifecycle.Leave}, r.intents())
	})
}

// A daemon that starts on a retained instance, after a crash during the termination, must release what the one before it left: the
// address would be missing from the pool for as long as the instance exists. It does not depend on what the metadata show by then.
func TestADaemonOnARetainedInstanceLeaves(t *testing.T) {
	for _, shown := range []string{"Terminated", "InService", "", "Terminating:Retained", "Retained"} {
		t.Run(fmt.Sprintf("%q", shown), func(t *testing.T) {
			arrange := func(r *rig) {
				retaining(r)
				r.asg.Terminate("i-0a")
				time.Sleep(2 * terminate.Timeout)
				require.Equal(t, "Terminating:Retained", r.asg.State("i-0a"))
				r.imds.Set(target, shown)
			}
			run(t, []sim.Hook{launch, terminate}, arrange, func(t *testing.T, r *rig) {
				tick()
				require.Equal(t, lifecycle.Leave, r.watcher.Order().Intent)
				require.Equal(t, lifecycle.Retained, r.watcher.Status().State)
				require.Error(t, r.watcher.Check())
				require.NoError(t, r.watcher.Finish(t.Context()))
				calls := len(r.asg.Calls())
				time.Sleep(time.Hour)
				require.Len(t, r.asg.Calls(), calls, "nothing is left to ask")
			})
		})
	}
}

// The same on the way back to the warm pool: nothing waits for the rest any more.
func TestAnInstanceRetainedOnItsWayToTheWarmPool(t *testing.T) {
	run(t, []sim.Hook{terminate}, retaining, func(t *testing.T, r *rig) {
		tick()
		r.asg.Deny("RecordLifecycleActionHeartbeat")
		r.asg.Reuse("i-0a", "Warmed:Running")
		tick()
		require.Equal(t, lifecycle.Rest, r.watcher.Order().Intent)
		time.Sleep(2 * terminate.Timeout)
		require.Equal(t, "Warmed:Pending:Retained", r.asg.State("i-0a"))
		tick()
		require.Equal(t, lifecycle.Leave, r.watcher.Order().Intent)
		require.Equal(t, lifecycle.Retained, r.watcher.Order().State)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, r.watcher.Finish(ctx))
	})
}
