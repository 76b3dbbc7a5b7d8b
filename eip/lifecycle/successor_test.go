package lifecycle_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// successor is the watcher of the next process, which takes over what it is given as JSON, and runs until the test ends. It returns
// the orders that the next process was given, too.
func (r *rig) successor(t *testing.T, s *lifecycle.Saved) (*lifecycle.Watcher, *[]lifecycle.Order) {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	read := new(lifecycle.Saved)
	require.NoError(t, json.Unmarshal(text, read))
	o, orders := r.options, new([]lifecycle.Order)
	o.OnOrder = func(order lifecycle.Order) { *orders = append(*orders, order) }
	next := lifecycle.New(o)
	require.NoError(t, next.TakeOver(read))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { next.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return next, orders
}

// An upgrade in the middle of a termination: the next process neither asks for the hooks anew, nor sends a heartbeat before its time,
// and completes the hook once the drain that the old process began is over.
func TestTheNextProcessContinuesATermination(t *testing.T) {
	run(t, []sim.Hook{launch, terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Terminate("i-0a")
		tick()
		require.Equal(t, 1, r.did("RecordLifecycleActionHeartbeat"))
		s, _, err := r.watcher.Pause(t.Context())
		require.NoError(t, err)
		before := len(r.asg.Calls())
		listed := r.did("DescribeLifecycleHooks")

		next, orders := r.successor(t, s)
		require.Equal(t, r.watcher.Order(), next.Order())
		require.Equal(t, r.watcher.Status(), next.Status())
		require.Equal(t, []lifecycle.Order{next.Order()}, *orders, "the daemon of the next process has to know it")
		require.Error(t, next.Check())
		tick()
		require.Equal(t, 1, r.did("RecordLifecycleActionHeartbeat"), "one each 30 s")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, r.did("RecordLifecycleActionHeartbeat"))
		require.Equal(t, listed, r.did("DescribeLifecycleHooks"), "the hooks are known")
		require.Greater(t, len(r.asg.Calls()), before)

		next.Done(next.Order())
		synctest.Wait()
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
		require.NoError(t, next.Finish(t.Context()))
		require.Len(t, *orders, 1)
	})
}

// What the old process has carried out, and the hooks that it has completed or that do not wait, are not begun again.
func TestTheNextProcessRepeatsNothing(t *testing.T) {
	other := sim.Hook{Name: "other", Transition: sim.Terminating, Timeout: time.Hour}
	leave := lifecycle.Order{Intent: lifecycle.Leave, State: lifecycle.Terminating, Why: "Auto Scaling terminates the instance"}
	saved := func() *lifecycle.Saved {
		return &lifecycle.Saved{
			Version: 1, Order: leave, Target: "Terminated", Known: true, Group: "aoai", Current: "Terminating:Wait",
			Hooks: []lifecycle.SavedHook{
				{Name: terminate.Name, Transition: sim.Terminating, Timeout: terminate.Timeout, Completed: true, NotWaiting: true},
				{Name: other.Name, Transition: sim.Terminating, Timeout: other.Timeout, NextBeat: time.Now().Add(time.Hour)},
			},
		}
	}
	begin := func(t *testing.T, test func(*testing.T, *rig)) {
		run(t, []sim.Hook{terminate, other}, serving, func(t *testing.T, r *rig) {
			tick()
			_, _, err := r.watcher.Pause(t.Context()) // the old process does nothing more
			require.NoError(t, err)
			r.asg.Terminate("i-0a")
			test(t, r)
		})
	}
	t.Run("a hook that was completed", func(t *testing.T) {
		begin(t, func(t *testing.T, r *rig) {
			s := saved()
			s.Done = leave
			next, _ := r.successor(t, s)
			tick()
			require.Zero(t, r.did("CompleteLifecycleAction "+terminate.Name))
			require.Equal(t, 1, r.did("CompleteLifecycleAction "+other.Name))
			require.NoError(t, next.Finish(t.Context()))
		})
	})
	t.Run("a heartbeat that is not due, or that nobody waits for", func(t *testing.T) {
		begin(t, func(t *testing.T, r *rig) {
			r.successor(t, saved())
			tick()
			require.Zero(t, r.did("RecordLifecycleActionHeartbeat"))
			require.Zero(t, r.did("CompleteLifecycleAction"))
		})
	})
	t.Run("a termination that is over", func(t *testing.T) {
		begin(t, func(t *testing.T, r *rig) {
			s := saved()
			s.TerminationDone = true
			calls := len(r.asg.Calls())
			next, _ := r.successor(t, s)
			tick()
			require.NoError(t, next.Finish(t.Context()))
			require.Len(t, r.asg.Calls(), calls)
		})
	})
}

// A state that another version has written is not guessed at. One that says nothing yet gives no order.
func TestTakeOverReadsOneVersion(t *testing.T) {
	run(t, nil, serving, func(t *testing.T, r *rig) {
		o := r.options
		o.OnOrder = func(lifecycle.Order) { t.Error("an order") }
		w := lifecycle.New(o)
		require.EqualError(t, w.TakeOver(&lifecycle.Saved{Version: 2}), "the state of the lifecycle has version 2, this process reads 1")
		require.NoError(t, w.TakeOver(&lifecycle.Saved{Version: 1, Order: lifecycle.Order{Intent: lifecycle.Wait, State: lifecycle.Unknown}}))
		require.Equal(t, lifecycle.Wait, w.Order().Intent)
	})
}

// While it is paused nothing is asked, so that the state that was passed on stays true. After an upgrade that failed it goes on.
func TestAPausedWatcherAsksNothing(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		tick()
		_, resume, err := r.watcher.Pause(t.Context())
		require.NoError(t, err)
		calls, asked := len(r.asg.Calls()), r.imds.Asked(target)
		r.ready.Store(true)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.Len(t, r.asg.Calls(), calls)
		require.Equal(t, asked, r.imds.Asked(target))
		require.Equal(t, "Pending:Wait", r.asg.State("i-0a"))
		resume()
		tick()
		require.Equal(t, "InService", r.asg.State("i-0a"))
	})
}

// A call that is under way may complete a hook. Who cannot wait for it is told so, and the watcher goes on.
func TestPauseDuringACall(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		tick()
		r.slow.Store(int64(8 * time.Second))
		r.ready.Store(true)
		time.Sleep(2 * time.Second) // it has seen that the daemon is ready, and asks
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := r.watcher.Pause(ctx)
		require.ErrorContains(t, err, "a call of Auto Scaling is under way")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		r.slow.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "InService", r.asg.State("i-0a"))
		_, resume, err := r.watcher.Pause(t.Context())
		require.NoError(t, err)
		resume()
	})
}
