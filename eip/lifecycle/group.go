package lifecycle

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/l4fwd/l4fwd/eip/instance"
)

// callTimeout bounds one call with all its retries. Meanwhile no notice in the metadata is seen.
const callTimeout = 10 * time.Second

// Transitions as the API names them.
const (
	launchTransition    = "autoscaling:EC2_INSTANCE_LAUNCHING"
	terminateTransition = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// hook is a lifecycle hook of the group.
type hook struct {
	name, transition string
	timeout          time.Duration // from one heartbeat to the next
	completed        bool          // in the present transition, by us or by somebody else
	nextBeat         time.Time     // when the next heartbeat is due; zero: at once
	notWaiting       bool          // a heartbeat was refused, since the hook does not wait
}

func (h *hook) String() string {
	switch h.transition {
	case launchTransition:
		return h.name + " (launch)"
	case terminateTransition:
		return h.name + " (terminate)"
	}
	return h.name + " (" + h.transition + ")"
}

// group is what Auto Scaling answered about the instance and its group. Run's goroutine owns it.
type group struct {
	client Client
	id     instance.Identity

	target          string // the target state in the metadata
	known           bool   // the API has answered
	name            string // empty: in no group
	current         string // the lifecycle state
	hooks           []*hook
	terminationDone bool // no termination hook is left to complete
	notListed       int  // answers in a row without the instance, although its metadata say that it is in a group
}

// believedAfter is how many answers in a row without the instance are believed if its metadata say that it is in a group: a new
// instance may not be listed yet.
const believedAfter = 3

var errNotListed = errors.New("the instance, whose metadata say that it is in a group, is not listed by Auto Scaling")

// lookup asks the API for the state of the instance, and for the hooks of its group if they are not known yet.
func (g *group) lookup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := g.client.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{g.id.Instance}})
	if err != nil {
		return g.explain("DescribeAutoScalingInstances", err)
	}
	name, current := "", ""
	for _, i := range out.AutoScalingInstances {
		if aws.ToString(i.InstanceId) == g.id.Instance {
			name, current = aws.ToString(i.AutoScalingGroupName), aws.ToString(i.LifecycleState)
		}
	}
	if name == "" && g.target != "" && g.target != "Detached" {
		if g.notListed++; g.notListed < believedAfter {
			return errNotListed
		}
	}
	g.notListed = 0
	fresh := !g.known || name != g.name
	g.current = current
	if name != "" && fresh {
		if g.hooks, err = g.listHooks(ctx, name); err != nil {
			return err
		}
	}
	g.known, g.name = true, name
	return nil
}

// listHooks asks the API for the hooks of a group.
func (g *group) listHooks(ctx context.Context, name string) ([]*hook, error) {
	out, err := g.client.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &name})
	if err != nil {
		return nil, g.explain("DescribeLifecycleHooks", err)
	}
	var hooks []*hook
	for _, h := range out.LifecycleHooks {
		hooks = append(hooks, &hook{
			name: aws.ToString(h.LifecycleHookName), transition: aws.ToString(h.LifecycleTransition),
			timeout: time.Duration(aws.ToInt32(h.HeartbeatTimeout)) * time.Second,
		})
	}
	return hooks, nil
}

// lookAgain makes the next lookup ask for the hooks again: a transition has begun, and hooks may have been added since.
func (g *group) lookAgain() { g.known, g.terminationDone = false, false }

// warm reports whether the instance is in the warm pool.
func (g *group) warm() bool { return strings.HasPrefix(g.current, "Warmed:") }

// launching reports whether the instance is to be in service and was not when the API last answered.
func (g *group) launching() bool {
	return g.target == "InService" && g.name != "" && g.current != "InService"
}

// retained reports whether Auto Scaling retains the instance.
func (g *group) retained() bool { return IsRetained(g.current) }

// waiting reports whether the instance is in a state in which a hook can be completed.
func (g *group) waiting() bool { return strings.HasSuffix(g.current, ":Wait") }

// hooksOf returns the hooks of a transition.
func (g *group) hooksOf(transition string) []*hook {
	var some []*hook
	for _, h := range g.hooks {
		if h.transition == transition {
			some = append(some, h)
		}
	}
	return some
}

// complete completes a hook with the result CONTINUE.
func (g *group) complete(ctx context.Context, h *hook) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.client.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: &g.name, LifecycleHookName: &h.name, InstanceId: &g.id.Instance, LifecycleActionResult: aws.String("CONTINUE"),
	})
	return g.explain("CompleteLifecycleAction", err)
}

// heartbeat restarts the timeout of a hook.
func (g *group) heartbeat(ctx context.Context, h *hook) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.client.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
		AutoScalingGroupName: &g.name, LifecycleHookName: &h.name, InstanceId: &g.id.Instance,
	})
	return g.explain("RecordLifecycleActionHeartbeat", err)
}
