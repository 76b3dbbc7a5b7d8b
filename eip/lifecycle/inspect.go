package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/l4fwd/l4fwd/eip/instance"
)

// Inspector is what a diagnosis needs of Auto Scaling beside Client; *autoscaling.Client is one. l4fwd works without these permissions.
type Inspector interface {
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	DescribeLoadBalancerTargetGroups(context.Context, *autoscaling.DescribeLoadBalancerTargetGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeLoadBalancerTargetGroupsOutput, error)
}

// NewInspector returns a client of Auto Scaling with that configuration.
func NewInspector(cfg aws.Config) Inspector { return newClient(cfg) }

// DeniedError says which permission is missing.
type DeniedError struct {
	Action   string // autoscaling:DescribeLifecycleHooks
	Resource string // an ARN, or *
}

// Error names the action, the resource and the policy statement that allows it.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s on %s is not permitted; add to the role's policy: %s", e.Action, e.Resource, e.Statement())
}

// Statement is the statement of an IAM policy that grants the permission, as JSON.
func (e *DeniedError) Statement() string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, e.Action, e.Resource)
}

// inspected returns the error of an action as a *DeniedError, or in words.
func (g *group) inspected(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return &DeniedError{"autoscaling:" + action, g.resource(action)}
	}
	return errors.New(brief(fmt.Errorf("autoscaling:%s: %w", action, err)))
}

// Membership is the place of an instance in its group.
type Membership struct {
	Group  string // empty: in none
	State  string // InService, Pending:Wait, …
	Health string // HEALTHY or UNHEALTHY, as the group's health checks found
}

// Find returns the group of an instance.
func Find(ctx context.Context, client Client, id instance.Identity) (m Membership, err error) {
	g := group{id: id}
	out, err := client.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{id.Instance}})
	if err != nil {
		return m, g.inspected("DescribeAutoScalingInstances", err)
	}
	for _, i := range out.AutoScalingInstances {
		if aws.ToString(i.InstanceId) == id.Instance {
			m = Membership{aws.ToString(i.AutoScalingGroupName), aws.ToString(i.LifecycleState), aws.ToString(i.HealthStatus)}
		}
	}
	return m, nil
}

// Hook is a lifecycle hook as the API describes it.
type Hook struct {
	Name          string
	Launch        bool // else of a termination
	Heartbeat     time.Duration
	Global        time.Duration // how long heartbeats can make it wait
	DefaultResult string        // CONTINUE or ABANDON
}

// Hooks lists the hooks of a group.
func Hooks(ctx context.Context, client Client, id instance.Identity, name string) ([]Hook, error) {
	g := group{id: id, name: name}
	out, err := client.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &name})
	if err != nil {
		return nil, g.inspected("DescribeLifecycleHooks", err)
	}
	var all []Hook
	for _, h := range out.LifecycleHooks {
		all = append(all, Hook{
			Name: aws.ToString(h.LifecycleHookName), Launch: aws.ToString(h.LifecycleTransition) == launchTransition,
			Heartbeat: time.Duration(aws.ToInt32(h.HeartbeatTimeout)) * time.Second, Global: time.Duration(aws.ToInt32(h.GlobalTimeout)) * time.Second,
			DefaultResult: aws.ToString(h.DefaultResult),
		})
	}
	return all, nil
}

// noSuchHook is the name of a hook that no group has: the permission to complete one is tested without one that waits.
const noSuchHook = "l4fwd-doctor-tests-the-permission"

// Permission is whether the caller may make a call.
type Permission struct {
	Action string // autoscaling:CompleteLifecycleAction
	Err    error  // nil: permitted; a *DeniedError: not permitted; else it could not be tested
}

// HookPermissions tests whether the caller may complete the hooks of a group and keep them waiting. Auto Scaling has no DryRun: the calls
// name a hook that does not exist, and change nothing.
func HookPermissions(ctx context.Context, client Client, id instance.Identity, name string) []Permission {
	g := group{client: client, id: id, name: name}
	h := &hook{name: noSuchHook}
	var all []Permission
	for _, ask := range []struct {
		action string
		call   func() error
	}{
		{"CompleteLifecycleAction", func() error { return g.complete(ctx, h) }},
		{"RecordLifecycleActionHeartbeat", func() error { return g.heartbeat(ctx, h) }},
	} {
		err := ask.call()
		if noAction(err) || validation(err) {
			err = nil
		}
		all = append(all, Permission{"autoscaling:" + ask.action, g.inspected(ask.action, err)})
	}
	return all
}

// Size is how many instances a group has and may have.
type Size struct{ Desired, Max int }

// GroupSize returns the size of a group.
func GroupSize(ctx context.Context, client Inspector, name string) (Size, error) {
	var g group
	out, err := client.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		return Size{}, g.inspected("DescribeAutoScalingGroups", err)
	}
	for _, one := range out.AutoScalingGroups {
		if aws.ToString(one.AutoScalingGroupName) == name {
			return Size{int(aws.ToInt32(one.DesiredCapacity)), int(aws.ToInt32(one.MaxSize))}, nil
		}
	}
	return Size{}, fmt.Errorf("the group %s is not listed by Auto Scaling", name)
}

// TargetGroup is a target group of a load balancer that a group's instances are registered with.
type TargetGroup struct {
	ARN   string
	State string // Adding, Added, InService, Removing or Removed. InService: at least one instance passed the health check
}

// TargetGroups lists the target groups of a group.
func TargetGroups(ctx context.Context, client Inspector, name string) ([]TargetGroup, error) {
	var g group
	out, err := client.DescribeLoadBalancerTargetGroups(ctx, &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: &name})
	if err != nil {
		return nil, g.inspected("DescribeLoadBalancerTargetGroups", err)
	}
	var all []TargetGroup
	for _, one := range out.LoadBalancerTargetGroups {
		all = append(all, TargetGroup{aws.ToString(one.LoadBalancerTargetGroupARN), aws.ToString(one.State)})
	}
	return all, nil
}
