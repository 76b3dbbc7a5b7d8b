// Package lifecycle follows what EC2 Auto Scaling and Spot intend to do with the instance, orders what the daemon is to do about it,
// and completes the group's lifecycle hooks: the launch hook once the daemon is ready, the termination hook once it has drained
// and released its address.
//
// The instance metadata have the state that Auto Scaling takes the instance to. They are read every 5 s. The state that the
// instance is in decides whether a hook can be completed. Only the Auto Scaling API has it, and is asked only while a hook
// may be waiting.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/l4fwd/l4fwd/eip/answer"
	"github.com/l4fwd/l4fwd/eip/instance"
)

// State is where the instance is, from the daemon's point of view. The list is closed.
type State string

// The states.
const (
	Unknown     State = "unknown"     // not known yet
	Alone       State = "alone"       // in no Auto Scaling group, or not watched
	Pending     State = "pending"     // launched, not in service yet: the launch hook waits for us
	InService   State = "in_service"  //
	Standby     State = "standby"     // out of service for a while
	Detached    State = "detached"    // no longer of the group
	Warmed      State = "warmed"      // in the warm pool
	Terminating State = "terminating" // on the way out of the group, and of existence
	Retained    State = "retained"    // kept outside of the desired capacity, since a termination hook was abandoned
	Interrupted State = "interrupted" // Spot takes the instance away in two minutes
	Rebalancing State = "rebalancing" // Spot advises to leave before it does
)

// States lists all states.
var States = []State{Unknown, Alone, Pending, InService, Standby, Detached, Warmed, Terminating, Retained, Interrupted, Rebalancing}

// Intent is what the daemon is to do.
type Intent string

// The intents.
const (
	Wait  Intent = "wait"  // claim no address yet
	Serve Intent = "serve" // hold an address, be ready
	Idle  Intent = "idle"  // be not ready, but keep connections and address
	Rest  Intent = "rest"  // be not ready, let connections end, release the address, keep running
	Leave Intent = "leave" // the same, and exit
)

// Order is an intent and its reason. Orders can be compared.
type Order struct {
	Intent Intent    `json:"intent"`
	State  State     `json:"state"`
	Why    string    `json:"why"`         // for people
	By     time.Time `json:"by,omitzero"` // when the instance is taken away; zero: not known
}

// Status is the state of a Watcher.
type Status struct {
	State   State    `json:"state"`
	Intent  Intent   `json:"intent"`
	Why     string   `json:"why,omitempty"`     // of the intent
	Target  string   `json:"target,omitempty"`  // in the instance metadata
	Current string   `json:"current,omitempty"` // as the Auto Scaling API last answered
	Group   string   `json:"group,omitempty"`
	Hooks   []string `json:"hooks,omitempty"` // of the group, as name (launch) or name (terminate)
	Fault   string   `json:"fault,omitempty"` // what failed and has not worked since
}

// Metadata is what the watcher reads from the instance; *instance.Metadata is one.
type Metadata interface {
	TargetState(context.Context) (string, error)
	Interrupted(context.Context) (*instance.Interruption, error)
	RebalanceAdvised(context.Context) (time.Time, error)
}

// Client is what the watcher needs of Auto Scaling; *autoscaling.Client is one.
type Client interface {
	DescribeAutoScalingInstances(context.Context, *autoscaling.DescribeAutoScalingInstancesInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingInstancesOutput, error)
	DescribeLifecycleHooks(context.Context, *autoscaling.DescribeLifecycleHooksInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeLifecycleHooksOutput, error)
	CompleteLifecycleAction(context.Context, *autoscaling.CompleteLifecycleActionInput, ...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error)
	RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput, ...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error)
}

// NewClient returns a client of Auto Scaling with that configuration. An answer that is not from Auto Scaling is an error.
func NewClient(cfg aws.Config) Client { return newClient(cfg) }

// newClient is NewClient with all that Auto Scaling has.
func newClient(cfg aws.Config) *autoscaling.Client {
	return autoscaling.NewFromConfig(cfg, func(o *autoscaling.Options) {
		o.APIOptions = append(o.APIOptions, answer.Service{Name: "Auto Scaling", Result: true}.Genuine)
	})
}

// orderOf is the order for a target state.
func orderOf(target string) Order {
	switch {
	case target == "":
		return Order{Serve, Alone, "in no Auto Scaling group", time.Time{}}
	case target == "InService":
		return Order{Serve, InService, "in service", time.Time{}}
	case target == "Standby":
		return Order{Idle, Standby, "Auto Scaling has put the instance on standby", time.Time{}}
	case target == "Detached":
		return Order{Serve, Detached, "detached from its Auto Scaling group", time.Time{}}
	case target == "Terminated", target == "Warmed:Terminated":
		return Order{Leave, Terminating, "Auto Scaling terminates the instance", time.Time{}}
	case IsRetained(target):
		return Order{Leave, Retained, "Auto Scaling retains the instance, since a termination hook was abandoned", time.Time{}}
	case strings.HasPrefix(target, "Warmed:"):
		return Order{Rest, Warmed, "the instance is in the warm pool (" + target + ")", time.Time{}}
	}
	// A state that AWS adds later is no reason to end anything.
	return Order{Serve, Unknown, "unknown target state " + target, time.Time{}}
}

// orderOfSpot is the order for the notices of Spot; false if there is none. A nil taken and a zero advised mean no notice.
func orderOfSpot(taken *instance.Interruption, advised time.Time) (Order, bool) {
	switch {
	case taken != nil:
		why := fmt.Sprintf("Spot takes the instance away (%s) at %s", taken.Action, taken.Time.UTC().Format(time.TimeOnly+" UTC"))
		return Order{Leave, Interrupted, why, taken.Time}, true
	case !advised.IsZero():
		return Order{Leave, Rebalancing, "Spot advises to replace the instance", time.Time{}}, true
	}
	return Order{}, false
}

// outranks reports whether an order to leave replaces another order: one of another intent, or one without a time limit by one with
// a limit.
func (o Order) outranks(other Order) bool {
	return o.Intent == Leave && (other.Intent != Leave || other.By.IsZero() && !o.By.IsZero())
}

// check returns nil if the order lets the daemon be ready, else an error that says why not.
func (o Order) check() error {
	switch o.Intent {
	case Serve:
		return nil
	case Wait:
		return errors.New("what Auto Scaling wants of this instance is not known yet")
	}
	return errors.New(o.Why)
}
