package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// inspected is a simulated Auto Scaling with an instance in a group, and clients for it.
func inspected(hooks ...sim.Hook) (*sim.AutoScaling, lifecycle.Client, lifecycle.Inspector, instance.Identity) {
	asg := sim.NewAutoScaling()
	asg.Group("aoai", hooks...)
	asg.Launch("aoai", "i-0a", sim.NewMetadata(sim.Machine{Instance: "i-0a"}))
	cfg := aws.Config{Region: "eu-west-1", HTTPClient: sim.InProcess{Handler: asg}, Credentials: anonymous{}, RetryMaxAttempts: 1}
	return asg, lifecycle.NewClient(cfg), lifecycle.NewInspector(cfg), instance.Identity{Instance: "i-0a", Region: "eu-west-1", Account: "123456789012"}
}

func TestAGroupIsDescribed(t *testing.T) {
	asg, client, inspector, id := inspected(terminate)
	asg.Resize("aoai", 4)
	asg.Target("aoai", "InService")
	m, err := lifecycle.Find(t.Context(), client, id)
	require.NoError(t, err)
	require.Equal(t, lifecycle.Membership{Group: "aoai", State: "InService", Health: "HEALTHY"}, m)
	hooks, err := lifecycle.Hooks(t.Context(), client, id, "aoai")
	require.NoError(t, err)
	require.Equal(t, []lifecycle.Hook{{Name: "down", Heartbeat: time.Minute, Global: 100 * time.Minute, DefaultResult: "ABANDON"}}, hooks)
	size, err := lifecycle.GroupSize(t.Context(), inspector, "aoai")
	require.NoError(t, err)
	require.Equal(t, lifecycle.Size{Desired: 1, Max: 4}, size)
	targets, err := lifecycle.TargetGroups(t.Context(), inspector, "aoai")
	require.NoError(t, err)
	require.Equal(t, "InService", targets[0].State)

	id.Instance = "i-0b"
	m, err = lifecycle.Find(t.Context(), client, id)
	require.NoError(t, err)
	require.Empty(t, m.Group)
	_, err = lifecycle.GroupSize(t.Context(), inspector, "other")
	require.ErrorContains(t, err, "the group other is not listed")
}

// A denied action is named with the statement that grants it, and is not confused with a hook that does not wait.
func TestHookPermissionsAreTestedWithoutChangingAnything(t *testing.T) {
	asg, client, inspector, id := inspected(launch)
	for _, p := range lifecycle.HookPermissions(t.Context(), client, id, "aoai") {
		require.NoError(t, p.Err, p.Action)
	}
	require.Equal(t, "Pending:Wait", asg.State("i-0a"), "the hook waits as before")
	require.Equal(t, []string{"up"}, asg.Waiting("i-0a"))

	asg.Deny("CompleteLifecycleAction")
	all := lifecycle.HookPermissions(t.Context(), client, id, "aoai")
	var denied *lifecycle.DeniedError
	require.ErrorAs(t, all[0].Err, &denied)
	require.Equal(t, "autoscaling:CompleteLifecycleAction", denied.Action)
	require.ErrorContains(t, denied, `"Resource":"arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aoai"`)
	require.NoError(t, all[1].Err)

	for action, ask := range map[string]func(context.Context) error{
		"DescribeAutoScalingInstances":     func(ctx context.Context) error { _, err := lifecycle.Find(ctx, client, id); return err },
		"DescribeLifecycleHooks":           func(ctx context.Context) error { _, err := lifecycle.Hooks(ctx, client, id, "aoai"); return err },
		"DescribeAutoScalingGroups":        func(ctx context.Context) error { _, err := lifecycle.GroupSize(ctx, inspector, "aoai"); return err },
		"DescribeLoadBalancerTargetGroups": func(ctx context.Context) error { _, err := lifecycle.TargetGroups(ctx, inspector, "aoai"); return err },
	} {
		asg.Deny(action)
		err := ask(t.Context())
		require.ErrorAs(t, err, &denied, action)
		require.Equal(t, "autoscaling:"+action, denied.Action)
		asg.Allow(action)
		asg.Fail("Throttling")
		err = ask(t.Context())
		require.Error(t, err)
		require.False(t, errors.As(err, &denied))
	}
}
