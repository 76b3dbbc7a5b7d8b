package lifecycle_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// What each target state means for the daemon, those of a warm pool, of retention and of a later AWS among them.
func TestTheOrderOfEachTargetState(t *testing.T) {
	for state, want := range map[string]struct {
		intent lifecycle.Intent
		state  lifecycle.State
		check  string // empty: the daemon may be ready
	}{
		"InService":               {lifecycle.Serve, lifecycle.InService, ""},
		"Standby":                 {lifecycle.Idle, lifecycle.Standby, "Auto Scaling has put the instance on standby"},
		"Detached":                {lifecycle.Serve, lifecycle.Detached, ""},
		"Terminated":              {lifecycle.Leave, lifecycle.Terminating, "Auto Scaling terminates the instance"},
		"Warmed:Terminated":       {lifecycle.Leave, lifecycle.Terminating, "Auto Scaling terminates the instance"},
		"Warmed:Running":          {lifecycle.Rest, lifecycle.Warmed, "the instance is in the warm pool (Warmed:Running)"},
		"Warmed:Hibernated":       {lifecycle.Rest, lifecycle.Warmed, "the instance is in the warm pool (Warmed:Hibernated)"},
		"Retained":                {lifecycle.Leave, lifecycle.Retained, "Auto Scaling retains the instance"},
		"Warmed:Pending:Retained": {lifecycle.Leave, lifecycle.Retained, "Auto Scaling retains the instance"},
		"Resting":                 {lifecycle.Serve, lifecycle.Unknown, ""},
	} {
		t.Run(state, func(t *testing.T) {
			run(t, nil, func(r *rig) { launched(r); r.imds.Set(target, state) }, func(t *testing.T, r *rig) {
				order := r.watcher.Order()
				require.Equal(t, want.intent, order.Intent)
				require.Equal(t, want.state, order.State)
				require.Zero(t, order.By)
				if want.check == "" {
					require.NoError(t, r.watcher.Check())
				} else {
					require.ErrorContains(t, r.watcher.Check(), want.check)
				}
			})
		})
	}
}

// Before the metadata were read nothing is known, and the daemon is not ready.
func TestBeforeTheFirstLook(t *testing.T) {
	w := lifecycle.New(lifecycle.Options{})
	require.Equal(t, lifecycle.Status{State: lifecycle.Unknown, Intent: lifecycle.Wait}, w.Status())
	require.EqualError(t, w.Check(), "what Auto Scaling wants of this instance is not known yet")
}

// Without a func that says when the daemon is ready, it always is; and without the group, the instance is alone and nobody is asked.
func TestOptionsThatAreLeftOut(t *testing.T) {
	run(t, []sim.Hook{launch}, launched, func(t *testing.T, r *rig) {
		_, _, err := r.watcher.Pause(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		calls := len(r.asg.Calls())
		alone := lifecycle.New(lifecycle.Options{Metadata: r.options.Metadata})
		alone.Run(ctx)
		require.Equal(t, lifecycle.Status{State: lifecycle.Alone, Intent: lifecycle.Serve, Why: "in no Auto Scaling group"}, alone.Status())
		require.Len(t, r.asg.Calls(), calls)

		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w := lifecycle.New(lifecycle.Options{Metadata: r.options.Metadata, Client: r.options.Client, Identity: r.options.Identity, Groups: true})
		w.Run(ctx)
		require.Equal(t, "InService", r.asg.State("i-0a"))
	})
}

// Of several termination hooks none may be left: a drain that ends with one that failed waits until it is completed as well.
func TestEveryTerminationHookIsCompleted(t *testing.T) {
	other := sim.Hook{Name: "other", Transition: sim.Terminating, Timeout: time.Hour}
	run(t, []sim.Hook{terminate, other, {Name: "odd", Transition: "autoscaling:EC2_INSTANCE_RESTING", Timeout: time.Hour}}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Terminate("i-0a")
		tick()
		require.Equal(t, []string{"down (terminate)", "other (terminate)", "odd (autoscaling:EC2_INSTANCE_RESTING)"}, r.watcher.Status().Hooks)
		r.asg.OnCall(func(call string) {
			if call == "CompleteLifecycleAction down CONTINUE" { // the next one is not answered by Auto Scaling
				r.instead.Store(&substitute{"CompleteLifecycleAction", 200, "<html>"})
			}
		})
		ended := make(chan error, 1)
		go func() { ended <- r.watcher.Finish(t.Context()) }()
		for range 4 {
			tick()
		}
		require.Empty(t, ended, "a hook waits")
		require.Equal(t, "Terminating:Wait", r.asg.State("i-0a"))
		r.instead.Store(nil)
		tick()
		require.NoError(t, <-ended)
		require.Equal(t, 1, r.did("CompleteLifecycleAction down CONTINUE"))
		require.Equal(t, "Terminated", r.asg.State("i-0a"))
		require.Equal(t, 1, r.did("CompleteLifecycleAction other CONTINUE"))
	})
}

// A drain whose time is over says what it waited for.
func TestFinishSaysWhatItWaitedFor(t *testing.T) {
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		tick()
		r.asg.Deregistering("i-0a") // the load balancer's turn: no hook waits yet
		tick()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.watcher.Finish(ctx)
		require.ErrorContains(t, err, "the termination hook was not completed: the instance is in state ")
		require.ErrorContains(t, err, " of group aoai, not in Terminating:Wait")
	})
}

// An instance is believed to be in no group after three answers in a row without it; its termination hook is then left alone. An answer
// that has it begins the count anew.
func TestAnswersWithoutTheInstanceCountInARow(t *testing.T) {
	run(t, []sim.Hook{terminate}, serving, func(t *testing.T, r *rig) {
		hide := func(answers int32) { // returns after the last of them, and before the next look
			r.hidden.Store(answers)
			for range 30 {
				if r.hidden.Load() > 0 {
					time.Sleep(time.Second)
					synctest.Wait()
				}
			}
			require.LessOrEqual(t, r.hidden.Load(), int32(0))
		}
		tick()
		r.asg.Terminate("i-0a")
		tick()
		for range 2 {
			hide(2)
			require.Equal(t, "aoai", r.watcher.Status().Group)
			require.Contains(t, r.watcher.Status().Fault, "is not listed by Auto Scaling")
			tick()
			require.Empty(t, r.watcher.Status().Fault)
		}
		hide(3)
		require.Empty(t, r.watcher.Status().Group)
	})
}

// listing is an Auto Scaling that lists each instance that it is asked for, or refuses.
type listing struct {
	lifecycle.Client
	calls []int
	err   error
}

func (l *listing) DescribeAutoScalingInstances(_ context.Context, in *autoscaling.DescribeAutoScalingInstancesInput,
	_ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingInstancesOutput, error) {
	l.calls = append(l.calls, len(in.InstanceIds))
	out := &autoscaling.DescribeAutoScalingInstancesOutput{}
	for _, id := range in.InstanceIds {
		out.AutoScalingInstances = append(out.AutoScalingInstances, types.AutoScalingInstanceDetails{InstanceId: aws.String(id), LifecycleState: aws.String("state of " + id)})
	}
	return out, l.err
}

// Auto Scaling takes 50 instances in a call, and a pool may have more holders.
func TestStatesOfManyInstances(t *testing.T) {
	var ids []string
	for n := range 120 {
		ids = append(ids, fmt.Sprintf("i-%03d", n))
	}
	l := &listing{}
	states, err := lifecycle.InstanceStates(t.Context(), l, ids)
	require.NoError(t, err)
	require.Equal(t, []int{50, 50, 20}, l.calls)
	require.Len(t, states, 120)
	require.Equal(t, "state of i-119", states["i-119"])

	states, err = lifecycle.InstanceStates(t.Context(), &listing{err: fmt.Errorf("nobody is asked")}, nil)
	require.NoError(t, err)
	require.Empty(t, states)

	l = &listing{err: &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "DescribeAutoScalingInstances",
		Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}}}
	_, err = lifecycle.InstanceStates(t.Context(), l, ids)
	require.EqualError(t, err, "autoscaling:DescribeAutoScalingInstances: AccessDenied: no")
	require.Len(t, l.calls, 1)
}

// A missing permission is named with the ARN that a policy needs, in the partition of the region.
func TestTheResourceOfAMissingPermission(t *testing.T) {
	for id, arn := range map[instance.Identity]string{
		{Region: "eu-west-1", Account: "1"}:     "arn:aws:autoscaling:eu-west-1:1:",
		{Region: "cn-north-1", Account: "1"}:    "arn:aws-cn:autoscaling:cn-north-1:1:",
		{Region: "us-gov-west-1", Account: "1"}: "arn:aws-us-gov:autoscaling:us-gov-west-1:1:",
		{Region: "eu-west-1"}:                   "arn:aws:autoscaling:eu-west-1:*:",
	} {
		synctest.Test(t, func(t *testing.T) {
			asg := sim.NewAutoScaling()
			asg.Group("aoai")
			asg.Deny("CompleteLifecycleAction")
			client := lifecycle.NewClient(aws.Config{Region: id.Region, HTTPClient: sim.InProcess{Handler: asg}, Credentials: anonymous{}, RetryMaxAttempts: 1})
			id.Instance = "i-0a"
			var denied *lifecycle.DeniedError
			for _, p := range lifecycle.HookPermissions(t.Context(), client, id, "aoai") {
				if p.Action == "autoscaling:CompleteLifecycleAction" {
					require.ErrorAs(t, p.Err, &denied)
				} else {
					require.NoError(t, p.Err)
				}
			}
			require.Equal(t, arn+"autoScalingGroup:*:autoScalingGroupName/aoai", denied.Resource)
		})
	}
}
