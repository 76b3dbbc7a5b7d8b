package lifecycle_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestWhatFailsIsLoggedOnceAndTriedAgain(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		r.asg.Deny("CompleteLifecycleAction")
		r.ready.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.LessOrEqual(t, r.did("CompleteLifecycleAction"), 12, "once a minute")
		errs := r.logs.FilterLevelExact(zap.ErrorLevel).All()
		require.Len(t, errs, 1)
		require.Equal(t, "the role of this instance needs autoscaling:CompleteLifecycleAction on "+
			"arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aoai: AccessDenied: "+
			"User: arn:aws:sts::123456789012:assumed-role/l4fwd/i is not authorized to perform: autoscaling:CompleteLifecycleAction",
			errs[0].ContextMap()["error"])
		require.Contains(t, r.watcher.Status().Fault, "needs autoscaling:CompleteLifecycleAction")
		require.Equal(t, "Pending:Wait", r.asg.State("i-0a"))

		r.asg.Allow("CompleteLifecycleAction")
		time.Sleep(70 * time.Second)
		require.Equal(t, "InService", r.asg.State("i-0a"))
		require.Empty(t, r.watcher.Status().Fault)
	})
}

func TestATerminationHookThatMayNotBeCompletedEndsTheWait(t *testing.T) {
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Terminate("i-0a")
		r.asg.Deny("CompleteLifecycleAction")
		tick()
		require.ErrorContains(t, r.watcher.Finish(t.Context()), "needs autoscaling:CompleteLifecycleAction on arn:aws:")
	})
}

func TestContentionAndThrottlingAreWaitedOut(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		tick()
		r.asg.Fail("Throttling", "ResourceContention")
		r.ready.Store(true)
		tick()
		tick()
		tick()
		require.Equal(t, "InService", r.asg.State("i-0a"))
	})
}

// A proxy that answers in the place of Auto Scaling completes no hook: the instance went, and the hook waited for its timeout.
func TestAnAnswerThatIsNotOfAutoScalingCompletesNothing(t *testing.T) {
	for name, said := range map[string]substitute{
		"nothing":     {"CompleteLifecycleAction", 200, ""},
		"no content":  {"CompleteLifecycleAction", 204, ""},
		"a page":      {"CompleteLifecycleAction", 200, "<html><body>welcome</body></html>"},
		"no result":   {"CompleteLifecycleAction", 200, "<CompleteLifecycleActionResponse></CompleteLifecycleActionResponse>"},
		"of another":  {"CompleteLifecycleAction", 200, "<AnyResponse><CompleteLifecycleActionResult/></AnyResponse>"},
		"no group":    {"DescribeAutoScalingInstances", 200, ""},
		"no metadata": {"DescribeLifecycleHooks", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
				tick()
				r.instead.Store(&said)
				r.asg.Terminate("i-0a")
				tick()
				ended := make(chan error, 1)
				go func() { ended <- r.watcher.Finish(t.Context()) }()
				for range 5 {
					tick()
				}
				require.Empty(t, ended, "Finish must not return: the hook waits")
				require.Contains(t, r.watcher.Status().Fault, "the answer is not of Auto Scaling")
				require.Equal(t, "Terminating:Wait", r.asg.State("i-0a"))
				r.instead.Store(nil)
				tick()
				require.NoError(t, <-ended)
				require.Equal(t, "Terminated", r.asg.State("i-0a"))
			})
		})
	}
}

// Somebody else, such as a script at boot, completed the hook first.
func TestAHookThatDoesNotWaitIsDone(t *testing.T) {
	run(t, []sim.Hook{terminate, {Name: "other", Transition: sim.Terminating, Timeout: time.Second}}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Terminate("i-0a")
		tick() // other has timed out
		require.Equal(t, []string{"down"}, r.asg.Waiting("i-0a"))
		require.NoError(t, r.watcher.Finish(t.Context()))
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
	})
}

func TestMetadataThatDoNotAnswerChangeNothing(t *testing.T) {
	run(t, []sim.Hook{launch}, serving, func(t *testing.T, r *rig) {
		tick()
		r.imds.Fail(http.StatusTooManyRequests)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NoError(t, r.watcher.Check())
		require.Equal(t, 1, r.logs.FilterMessage("lifecycle: target state").Len())
		r.imds.Fail(0)
		r.asg.Terminate("i-0a")
		time.Sleep(20 * time.Second)
		require.Error(t, r.watcher.Check())
	})
}

func TestWithoutAnAPIAnInstanceServesByItsMetadata(t *testing.T) {
	arrange := func(r *rig) {
		launched(r)
		r.asg.Deny("DescribeAutoScalingInstances")
	}
	run(t, []sim.Hook{launch}, arrange, func(t *testing.T, r *rig) {
		require.Equal(t, []lifecycle.Intent{lifecycle.Serve}, r.intents())
		require.Contains(t, r.watcher.Status().Fault, "needs autoscaling:DescribeAutoScalingInstances on *")
	})
}

// The policy that deploy ships allows what is called here, and nothing else.
func TestThePolicyAllowsWhatIsCalled(t *testing.T) {
	text, err := os.ReadFile("../../deploy/iam/lifecycle.json")
	require.NoError(t, err)
	var policy struct {
		Statement []struct{ Action []string }
	}
	require.NoError(t, json.Unmarshal(text, &policy))
	var allowed []string
	for _, s := range policy.Statement {
		allowed = append(allowed, s.Action...)
	}
	run(t, []sim.Hook{launch, terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Terminate("i-0a")
		tick()
		require.NoError(t, r.watcher.Finish(t.Context()))
		called := map[string]bool{}
		for _, c := range r.asg.Calls() {
			action, _, _ := strings.Cut(c, " ")
			called["autoscaling:"+action] = true
		}
		require.ElementsMatch(t, allowed, slices.Collect(maps.Keys(called)))
	})
}
