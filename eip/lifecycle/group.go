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

// callTimeout bounds one call with all its retries, so that notices in the metadata are not missed for it.
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
	completed        bool          // in the present transition
	beat             time.Time     // when the next heartbeat is due; zero: at once
	unheard          bool          // a heartbeat was refused: the hook does not wait
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

// group is what Auto Scaling told of the instance and its group. It belongs to Run's goroutine.
type group struct {
	client Client
	id     instance.Identity

	target  string // from the metadata
	known   bool   // the API has answered
	name    string // empty: in no group
	current string // the lifecycle state
	hooks   []*hook
	left    bool // nothing is left to do for the termination
	unseen  int  // answers in a row that did not show the instance against what the metadata say
}

// believedAfter is how many answers in a row that do not show the instance are believed where its metadata say that it is in
// a group: a new one may not be listed yet.
const believedAfter = 3

var errUnseen = errors.New("the instance, whose metadata say that it is in a group, is not listed by Auto Scaling")

// lookup asks for the state the instance is in, and for the hooks of a group that is new to us.
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
		if g.unseen++; g.unseen < believedAfter {
			return errUnseen
		}
	}
	g.unseen = 0
	fresh := !g.known || name != g.name
	g.current = current
	if name != "" && fresh {
		if g.hooks, err = g.list(ctx, name); err != nil {
			return err
		}
	}
	g.known, g.name = true, name
	return nil
}

// list asks for the hooks of a group.
func (g *group) list(ctx context.Context, name string) ([]*hook, error) {
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

// forget makes the next lookup ask for everything anew: a transition has begun, and hooks may have been added since.
func (g *group) forget() { g.known, g.left = false, false }

func (g *group) warm() bool { return strings.HasPrefix(g.current, "Warmed:") }

// launching reports whether the instance is to be in service, and was not yet when the API was last asked.
func (g *group) launching() bool {
	return g.target == "InService" && g.name != "" && g.current != "InService"
}

// waits reports whether the instance is in a state in which a hook can be completed.
func (g *group) waits() bool { return strings.HasSuffix(g.current, ":Wait") }

// of returns the hooks of a transition.
func (g *group) of(transition string) []*hook {
	var some []*hook
	for _, h := range g.hooks {
		if h.transition == transition {
			some = append(some, h)
		}
	}
	return some
}

// complete lets the transition go on, as far as this hook is concerned.
func (g *group) complete(ctx context.Context, h *hook) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.client.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: &g.name, LifecycleHookName: &h.name, InstanceId: &g.id.Instance, LifecycleActionResult: aws.String("CONTINUE"),
	})
	return g.explain("CompleteLifecycleAction", err)
}

// heartbeat begins the hook's time anew.
func (g *group) heartbeat(ctx context.Context, h *hook) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := g.client.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
		AutoScalingGroupName: &g.name, LifecycleHookName: &h.name, InstanceId: &g.id.Instance,
	})
	return g.explain("RecordLifecycleActionHeartbeat", err)
}
