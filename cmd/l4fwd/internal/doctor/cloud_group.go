package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// permissions tests what the role may do with addresses, one action a step.
func (c *cloudFindings) permissions(ctx context.Context, o *Cloud, a *account) (steps []Step) {
	s := Step{Kind: Permission}
	private, err := netip.ParseAddr(c.id.PrivateIP)
	if err != nil {
		return []Step{skip(s, "this machine is no EC2 instance")}
	}
	var all []eip.Permission
	s = measure(ctx, awsTime, s, func(ctx context.Context, s *Step) {
		all, err = eip.Permissions(ctx, a.ec2, o.Pool, c.id.Interface, private)
	})
	if err != nil {
		s.Subject = "ec2"
		return []Step{skip(s, "the pool cannot be listed")}
	}
	for _, p := range all {
		steps = append(steps, permission(p.Action, p.Err, s.Took/float64(len(all))))
	}
	return steps
}

// permission is the step of one action that was tested.
func permission(action string, err error, took float64) Step {
	s := Step{Kind: Permission, Subject: action, State: OK, Took: took}
	judgePermission(&s, err)
	return s
}

// hookPermissions tests what the role may do with the hooks of the group.
func (c *cloudFindings) hookPermissions(ctx context.Context, a *account) (steps []Step) {
	if c.group.Group == "" {
		return nil
	}
	var all []lifecycle.Permission
	s := measure(ctx, awsTime, Step{Kind: Permission}, func(ctx context.Context, _ *Step) {
		all = lifecycle.HookPermissions(ctx, a.scaling, c.id, c.group.Group)
	})
	for _, p := range all {
		steps = append(steps, permission(p.Action, p.Err, s.Took/float64(len(all))))
	}
	return steps
}

// hooks looks at the lifecycle hooks of the group.
func (c *cloudFindings) hooks(ctx context.Context, o *Cloud, a *account) []Step {
	s := Step{Kind: Hooks}
	if because := c.unasked(o); because != "" {
		return []Step{skip(s, because)}
	}
	if c.group.Group == "" {
		return []Step{skip(s, "the instance is in no Auto Scaling group")}
	}
	s.Subject = c.group.Group
	var all []lifecycle.Hook
	var err error
	listed := measure(ctx, awsTime, Step{Kind: Permission, Subject: "autoscaling:DescribeLifecycleHooks"}, func(ctx context.Context, s *Step) {
		all, err = lifecycle.Hooks(ctx, a.scaling, c.id, c.group.Group)
		judgePermission(s, err)
	})
	if err != nil {
		return []Step{listed, skip(s, "the hooks cannot be listed")}
	}
	s.State = OK
	judgeHooks(&s, o, all, c.group.Group)
	return []Step{listed, s}
}

// judgeHooks says whether a launch waits for readiness and a termination for the drain.
func judgeHooks(s *Step, o *Cloud, all []lifecycle.Hook, group string) {
	drain := o.LameDuck + o.DrainTimeout
	var seen []string
	var launch, terminate *lifecycle.Hook
	for i, h := range all {
		kind := "terminate"
		if h.Launch {
			kind, launch = "launch", &all[i]
		} else {
			terminate = &all[i]
		}
		seen = append(seen, fmt.Sprintf("%s (%s, heartbeat %s, %s)", h.Name, kind, h.Heartbeat, h.DefaultResult))
	}
	s.Evidence = strings.Join(seen, "; ")
	put := func(transition, result string) string {
		return fmt.Sprintf("aws autoscaling put-lifecycle-hook --auto-scaling-group-name %s --lifecycle-hook-name l4fwd-%s --lifecycle-transition autoscaling:EC2_INSTANCE_%s --heartbeat-timeout 300 --default-result %s",
			word(group), strings.ToLower(transition), transition, result)
	}
	switch {
	case len(all) == 0:
		s.Evidence = "none"
		s.warn("a launch gets traffic before it is ready, and a termination cuts connections", put("LAUNCHING", "ABANDON"), put("TERMINATING", "CONTINUE"))
	case terminate == nil:
		s.warn("a termination cuts connections and does not wait for the drain", put("TERMINATING", "CONTINUE"))
	case launch == nil:
		s.warn("an instance counts as launched before it holds an address", put("LAUNCHING", "ABANDON"))
	case terminate.Global > 0 && terminate.Global < drain:
		s.warn(fmt.Sprintf("heartbeats make the hook wait for %s at most, and a drain may take %s", terminate.Global, drain),
			fmt.Sprintf("aws autoscaling put-lifecycle-hook --auto-scaling-group-name %s --lifecycle-hook-name %s --heartbeat-timeout %d", word(group), word(terminate.Name), int(drain.Seconds())))
	default:
		s.Evidence += fmt.Sprintf("; l4fwd sends heartbeats during a drain of up to %s", drain)
	}
}

// targetHealth says how the load balancer sees this instance, as far as Auto Scaling shows it.
func (c *cloudFindings) targetHealth(ctx context.Context, a *account) Step {
	s := Step{Kind: TargetHealth}
	if c.group.Group == "" {
		return skip(s, "the instance is in no Auto Scaling group")
	}
	return measure(ctx, awsTime, s, func(ctx context.Context, s *Step) {
		s.Evidence = fmt.Sprintf("the instance is %s and %s", c.group.State, strings.ToLower(c.group.Health))
		if c.group.Health == "UNHEALTHY" {
			s.fail("the health check of the load balancer or of EC2; it fails for this instance", "the group will replace it. The load balancer asks the health port: it must be reachable from the "+
				"load balancer's subnets, and /readyz must answer 200", "curl -s 'http://127.0.0.1:8080/readyz?verbose'", statusCommand)
			return
		}
		groups, err := lifecycle.TargetGroups(ctx, a.inspector, c.group.Group)
		var denied *lifecycle.DeniedError
		switch {
		case errors.As(err, &denied):
			*s = skip(*s, denied.Action+" is not permitted; l4fwd works without it")
		case err != nil:
			*s = skip(*s, unanswered(ctx, err))
		default:
			judgeTargetGroups(s, groups)
		}
	})
}

// judgeTargetGroups says whether the load balancer has an instance of the group in service.
func judgeTargetGroups(s *Step, groups []lifecycle.TargetGroup) {
	for _, g := range groups {
		_, name, _ := strings.Cut(g.ARN, "targetgroup/")
		s.Evidence += fmt.Sprintf("; target group %s %s", name, g.State)
		if g.State != "InService" {
			s.warn("no instance of the group passes the load balancer's health check yet", "aws elbv2 describe-target-health --target-group-arn "+word(g.ARN))
		}
	}
	if len(groups) == 0 {
		s.warn("the group is registered with no target group, so no load balancer sends it clients", "aws autoscaling describe-auto-scaling-groups")
	}
}

// endpoints looks for connections to endpoint services that nobody has accepted.
func (c *cloudFindings) endpoints(ctx context.Context, a *account) Step {
	return measure(ctx, awsTime, Step{Kind: Endpoints}, func(ctx context.Context, s *Step) {
		all, err := eip.EndpointConnections(ctx, a.endpoints)
		var denied *eip.PermissionError
		switch {
		case errors.As(err, &denied):
			*s = skip(*s, denied.Action+" is not permitted; l4fwd works without it")
			return
		case err != nil:
			*s = skip(*s, unanswered(ctx, err))
			return
		}
		counts := map[string]int{}
		for _, e := range all {
			counts[e.State]++
			if e.Pending() {
				s.warn("the client's endpoint waits until somebody accepts it; Databricks shows PENDING, and gives up after 14 days",
					append(s.Commands, fmt.Sprintf("aws ec2 accept-vpc-endpoint-connections --service-id %s --vpc-endpoint-ids %s", word(e.Service), word(e.Endpoint)))...)
			}
		}
		s.Evidence = fmt.Sprintf("%d connections to endpoint services: %d available, %d wait for acceptance", len(all), counts["available"], counts["pendingAcceptance"])
	})
}
