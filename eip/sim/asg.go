package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Transitions that a hook can stand in.
const (
	Launching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	Terminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Hook is a lifecycle hook of a group.
type Hook struct {
	Name       string
	Transition string        // Launching or Terminating
	Timeout    time.Duration // the heartbeat timeout
}

// AutoScaling is EC2 Auto Scaling, as far as an instance has to do with it: states, hooks, heartbeats. The test moves
// instances; the instance completes hooks.
type AutoScaling struct {
	mu      sync.Mutex
	hooks   map[string][]Hook // by group
	sizes   map[string]int    // the maximum of each group; 0: 1
	targets map[string]string // the state of each group's target group; none: it has none
	sick    map[string]bool   // instances that fail their health check
	retain  map[string]bool   // groups whose instance lifecycle policy retains
	members map[string]*asgMember
	denied  map[string]bool // actions
	faults  []string        // error codes of the next calls
	calls   []string
	onCall  func(call string)
}

// asgMember is an instance of a group.
type asgMember struct {
	group    string
	state    string
	waiting  map[string]time.Time // hooks that are not completed yet, and when they time out
	next     string               // the state after the wait
	metadata *Metadata
}

// NewAutoScaling returns a region without groups.
func NewAutoScaling() *AutoScaling {
	return &AutoScaling{sizes: map[string]int{}, targets: map[string]string{}, sick: map[string]bool{}, hooks: map[string][]Hook{}, retain: map[string]bool{}, members: map[string]*asgMember{}, denied: map[string]bool{}}
}

// Group makes a group with its hooks.
func (a *AutoScaling) Group(name string, hooks ...Hook) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hooks[name] = hooks
}

// Resize sets how many instances a group may have.
func (a *AutoScaling) Resize(group string, most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sizes[group] = most
}

// Target registers a group with a target group that is in that state: Adding, InService, ….
func (a *AutoScaling) Target(group, state string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.targets[group] = state
}

// Sicken makes an instance fail its health check.
func (a *AutoScaling) Sicken(instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sick[instance] = true
}

// Retain gives a group the instance lifecycle policy that retains instances whose termination hook is abandoned or times out.
func (a *AutoScaling) Retain(group string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retain[group] = true
}

// Launch adds an instance to a group. What Auto Scaling wants of it is written to m.
func (a *AutoScaling) Launch(group, instance string, m *Metadata) {
	a.join(group, instance, m, "InService", "Pending", Launching, "InService")
}

// LaunchWarm adds an instance to the group's warm pool, where it will be in target: Warmed:Running, Warmed:Stopped, ….
func (a *AutoScaling) LaunchWarm(group, instance string, m *Metadata, target string) {
	a.join(group, instance, m, target, "Warmed:Pending", Launching, target)
}

// join puts an instance into a group, in the states given. next is the state after its hooks, "" if there are none.
func (a *AutoScaling) join(group, instance string, md *Metadata, target, state, transition, next string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members[instance] = &asgMember{group: group, metadata: md}
	a.move(instance, target, state, transition, next)
}

// Use takes an instance from the warm pool into service. The launch hook runs again.
func (a *AutoScaling) Use(instance string) {
	a.moves(instance, "InService", "Pending", Launching, "InService")
}

// Reuse returns an instance in service to the warm pool: the hooks of a termination run, in the warm pool's wait.
func (a *AutoScaling) Reuse(instance, target string) {
	a.moves(instance, target, "Warmed:Pending", Terminating, target)
}

// Standby takes an instance out of service for a while; no hook runs.
func (a *AutoScaling) Standby(instance string) {
	a.moves(instance, "Standby", "Standby", "", "Standby")
}

// Return ends the standby; no hook runs.
func (a *AutoScaling) Return(instance string) {
	a.moves(instance, "InService", "InService", "", "InService")
}

// Detach takes an instance out of its group, which no longer knows it.
func (a *AutoScaling) Detach(instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members[instance].metadata.Set("autoscaling/target-lifecycle-state", "Detached")
	delete(a.members, instance)
}

// Deregistering begins a termination whose instance the load balancer still drains: the target is Terminated, and no hook
// runs before Terminate.
func (a *AutoScaling) Deregistering(instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.members[instance]
	m.state, m.waiting, m.next = "Terminating", nil, ""
	m.metadata.Set("autoscaling/target-lifecycle-state", "Terminated")
}

// Terminate ends an instance: the hooks run, then it is Terminated.
func (a *AutoScaling) Terminate(instance string) {
	a.moves(instance, "Terminated", "Terminating", Terminating, "Terminated")
}

// moves is move for callers that do not hold mu.
func (a *AutoScaling) moves(instance, target, state, transition, next string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.move(instance, target, state, transition, next)
}

// move begins a transition: to next at once, or to state:Wait until its hooks are completed.
func (a *AutoScaling) move(instance, target, state, transition, next string) {
	m := a.members[instance]
	m.metadata.Set("autoscaling/target-lifecycle-state", target)
	m.state, m.next, m.waiting = next, "", nil
	for _, h := range a.hooks[m.group] {
		if h.Transition == transition {
			if m.waiting == nil {
				m.waiting = map[string]time.Time{}
			}
			m.waiting[h.Name] = time.Now().Add(h.Timeout)
			m.state, m.next = state+":Wait", next
		}
	}
}

// retained retains an instance whose hook was abandoned, if it is a termination hook and the group's policy says so.
func (a *AutoScaling) retained(m *asgMember, hook string) bool {
	if a.transition(m.group, hook) != Terminating || !a.retain[m.group] {
		return false
	}
	m.state, m.next, m.waiting = strings.TrimSuffix(m.state, ":Wait")+":Retained", "", nil
	return true
}

// State returns the state an instance is in; empty: no group knows it.
func (a *AutoScaling) State(instance string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.members[instance]
	if m == nil {
		return ""
	}
	a.expire(m)
	return m.state
}

// Deny refuses an action for want of permission until Allow.
func (a *AutoScaling) Deny(action string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied[action] = true
}

// Allow ends what Deny began.
func (a *AutoScaling) Allow(action string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.denied, action)
}

// Fail makes the next calls fail with these error codes, one each.
func (a *AutoScaling) Fail(codes ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, codes...)
}

// OnCall calls fn before each call takes effect, with what Calls will say of it; fn must not call the simulation.
func (a *AutoScaling) OnCall(fn func(call string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onCall = fn
}

// Calls returns what was called, in order: the action, and for hooks their name and the result; and hooks that timed out.
func (a *AutoScaling) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// Waiting returns the hooks that an instance has not completed, sorted.
func (a *AutoScaling) Waiting(instance string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.members[instance]
	if m == nil {
		return nil
	}
	a.expire(m)
	return slices.Sorted(maps.Keys(m.waiting))
}

// act completes a hook, or begins its time anew.
func (a *AutoScaling) act(group, instance, hook, result string) error {
	m := a.members[instance]
	if m != nil {
		a.expire(m)
	}
	if m == nil || m.group != group || m.waiting[hook].IsZero() {
		return &asgFault{400, "ValidationError", fmt.Sprintf("No active Lifecycle Action found with instance ID %s", instance)}
	}
	switch result {
	case "":
		m.waiting[hook] = time.Now().Add(a.timeout(group, hook))
	case "CONTINUE":
		delete(m.waiting, hook)
		a.proceed(m)
	case "ABANDON":
		if !a.retained(m, hook) {
			m.state, m.next, m.waiting = "Terminated", "", nil
		}
	default:
		return &asgFault{400, "ValidationError", "LifecycleActionResult must be CONTINUE or ABANDON"}
	}
	return nil
}
