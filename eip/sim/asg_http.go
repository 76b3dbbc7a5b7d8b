package sim

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// asgFault is an error of the query protocol.
type asgFault struct {
	status        int
	code, message string
}

func (f *asgFault) Error() string { return f.code + ": " + f.message }

type asgInstance struct {
	AutoScalingGroupName string
	InstanceId           string
	LifecycleState       string
	HealthStatus         string
	AvailabilityZone     string
	ProtectedFromScaleIn bool
}

type asgHook struct {
	AutoScalingGroupName string
	LifecycleHookName    string
	LifecycleTransition  string
	HeartbeatTimeout     int
	GlobalTimeout        int
	DefaultResult        string
}

// ServeHTTP answers the query protocol, API version 2011-01-01.
func (a *AutoScaling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action := r.PostForm.Get("Action")
	result, err := a.call(action, r.PostForm)
	w.Header().Set("Content-Type", "text/xml")
	var f *asgFault
	if errors.As(err, &f) {
		w.WriteHeader(f.status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
			f.code, f.message)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><%[1]sResult>%[2]s</%[1]sResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></%[1]sResponse>`,
		action, result)
}

// call answers an action with what its result holds.
func (a *AutoScaling) call(action string, form url.Values) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	group, hook, result := form.Get("AutoScalingGroupName"), form.Get("LifecycleHookName"), form.Get("LifecycleActionResult")
	said := strings.TrimSpace(strings.Join([]string{action, hook, result}, " "))
	a.calls = append(a.calls, said)
	if a.onCall != nil {
		a.onCall(said)
	}
	if f := a.refusal(action); f != nil {
		return "", f
	}
	switch action {
	case "DescribeAutoScalingInstances":
		return asgList(a.describe(form))
	case "DescribeLifecycleHooks":
		return asgList(a.list(group))
	case "DescribeAutoScalingGroups":
		return asgList(a.groups(form))
	case "DescribeLoadBalancerTargetGroups":
		return asgList(a.targetGroups(group))
	case "CompleteLifecycleAction":
		return "", a.act(group, form.Get("InstanceId"), hook, result)
	case "RecordLifecycleActionHeartbeat":
		return "", a.act(group, form.Get("InstanceId"), hook, "")
	}
	return "", &asgFault{400, "InvalidAction", action}
}

// refusal is the fault that a test wants of this call; nil: none. mu is held.
func (a *AutoScaling) refusal(action string) *asgFault {
	if len(a.faults) > 0 {
		code := a.faults[0]
		a.faults = a.faults[1:]
		return &asgFault{400, code, "injected"}
	}
	if a.denied[action] {
		return &asgFault{403, "AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/l4fwd/i is not authorized to perform: autoscaling:" + action}
	}
	return nil
}

// describe answers DescribeAutoScalingInstances: the instances of the form that are in a group. The caller holds mu.
func (a *AutoScaling) describe(form url.Values) (string, []asgInstance) {
	var found []asgInstance
	for i := 1; form.Has(fmt.Sprintf("InstanceIds.member.%d", i)); i++ {
		id := form.Get(fmt.Sprintf("InstanceIds.member.%d", i))
		if m := a.members[id]; m != nil {
			a.expire(m)
			health := "HEALTHY"
			if a.sick[id] {
				health = "UNHEALTHY"
			}
			found = append(found, asgInstance{m.group, id, m.state, health, "eu-west-1a", false})
		}
	}
	return "AutoScalingInstances", found
}

type asgGroup struct {
	AutoScalingGroupName              string
	MinSize, MaxSize, DesiredCapacity int
}

type asgTargetGroup struct{ LoadBalancerTargetGroupARN, State string }

// groups is the result of DescribeAutoScalingGroups. mu is held.
func (a *AutoScaling) groups(form url.Values) (string, []asgGroup) {
	var found []asgGroup
	for i := 1; form.Has(fmt.Sprintf("AutoScalingGroupNames.member.%d", i)); i++ {
		name := form.Get(fmt.Sprintf("AutoScalingGroupNames.member.%d", i))
		if _, known := a.hooks[name]; known {
			found = append(found, asgGroup{name, 0, max(1, a.sizes[name]), 1})
		}
	}
	return "AutoScalingGroups", found
}

// targetGroups is the result of DescribeLoadBalancerTargetGroups: at most one target group. mu is held.
func (a *AutoScaling) targetGroups(group string) (string, []asgTargetGroup) {
	var found []asgTargetGroup
	if state := a.targets[group]; state != "" {
		found = append(found, asgTargetGroup{"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/l4fwd/0123456789abcdef", state})
	}
	return "LoadBalancerTargetGroups", found
}

// list answers DescribeLifecycleHooks for a group. The caller holds mu.
func (a *AutoScaling) list(group string) (string, []asgHook) {
	var found []asgHook
	for _, h := range a.hooks[group] {
		seconds := int(h.Timeout.Seconds())
		found = append(found, asgHook{group, h.Name, h.Transition, seconds, min(100*seconds, 48*3600), "ABANDON"})
	}
	return "LifecycleHooks", found
}

// asgList writes a list as the query protocol does.
func asgList[T any](name string, all []T) (string, error) {
	var list struct {
		XMLName xml.Name
		Member  []T `xml:"member"`
	}
	list.XMLName.Local, list.Member = name, all
	out, err := xml.Marshal(list)
	return string(out), err
}
