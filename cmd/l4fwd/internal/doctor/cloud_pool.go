package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// sized compares the size of the pool with that of the group. pool is the step that listed it.
func (c *cloudFindings) sized(ctx context.Context, a *account, pool Step) []Step {
	if c.pool == nil || c.group.Group == "" {
		return []Step{pool}
	}
	size := measure(ctx, awsTime, pool, func(ctx context.Context, s *Step) {
		size, err := lifecycle.GroupSize(ctx, a.inspector, c.group.Group)
		var denied *lifecycle.DeniedError
		switch {
		case errors.As(err, &denied):
			s.Evidence += "; the size of the group is not known: " + denied.Action + " is not permitted"
		case err != nil:
			s.Evidence += "; the size of the group is not known: " + unanswered(ctx, err)
		default:
			c.judgeSize(s, size)
		}
	})
	return []Step{size}
}

// judgeSize says whether every instance of the group can have an address.
func (c *cloudFindings) judgeSize(s *Step, size lifecycle.Size) {
	n := len(c.pool)
	s.Evidence += fmt.Sprintf("; the group %s has at most %d instances", c.group.Group, size.Max)
	more := func(k int) string {
		return fmt.Sprintf("for i in $(seq %d); do aws ec2 allocate-address --domain vpc%s; done    # then admit them: l4fwd eip list --eip-pool %s --format azure-cli", k, tagArgument(c.selector), word(c.selector))
	}
	switch {
	case n < size.Max:
		s.fail(fmt.Sprintf("the pool; it has %d addresses and the group may have %d instances", n, size.Max), "an instance that finds no free address is never ready, and its launch is given up",
			more(size.Max+1-n), fmt.Sprintf("or: aws autoscaling update-auto-scaling-group --auto-scaling-group-name %s --max-size %d", word(c.group.Group), n))
	case n == size.Max:
		s.warn("none is spare: when an instance is replaced, the new one waits until the old one has released its address", more(1))
	}
}

// tagArgument is the argument of allocate-address that makes an address one of the pool; empty if the pool is a list.
func tagArgument(selector string) string {
	kind, tag, _ := strings.Cut(selector, ":")
	key, value := tag, "l4fwd" // of tag-key any value will do
	switch kind {
	case "tag":
		key, value, _ = strings.Cut(tag, "=")
	case "tag-key":
	default:
		return ""
	}
	return " --tag-specifications " + word(fmt.Sprintf("ResourceType=elastic-ip,Tags=[{Key=%s,Value=%s}]", key, value))
}

// held says whether this machine has an address of the pool.
func (c *cloudFindings) held() Step {
	s := Step{Kind: Address, State: OK}
	switch {
	case c.id.Instance == "":
		return skip(s, "this machine is no EC2 instance")
	case c.pool == nil:
		return skip(s, "the pool cannot be listed")
	}
	own, ok := c.own()
	claim := fmt.Sprintf("systemctl restart l4fwd    # or, without the daemon: l4fwd eip claim --eip-pool %s", word(c.selector))
	switch {
	case ok && (own.Public == c.public || !c.public.IsValid()):
		s.Subject, s.Evidence = own.Public.String(), fmt.Sprintf("%s is held by this interface", own.Allocation)
	case ok:
		s.Subject, s.Evidence = own.Public.String(), fmt.Sprintf("%s is held by this interface, and the instance metadata show %s", own.Allocation, c.public)
		s.warn("the metadata follow a change within a minute; if it lasts, the association is with another private address", "l4fwd eip list --eip-pool "+word(c.selector))
	case c.public.IsValid():
		s.Subject, s.Evidence = c.public.String(), "not in the pool "+c.selector
		s.fail(fmt.Sprintf("the Elastic IP; this instance leaves from %s, which is not in the pool", c.public),
			"no address of the pool is on this interface: the daemon does not run or could not claim one, or somebody associated another address", claim, "l4fwd eip list --eip-pool "+word(c.selector))
	default:
		s.Evidence = "none"
		s.fail("the Elastic IP; this instance has no public address", "without one nothing leaves for Azure, unless the subnet has a NAT gateway", claim, "l4fwd eip list --eip-pool "+word(c.selector))
	}
	return s
}

// own is the address of the pool that this interface holds.
func (c *cloudFindings) own() (eip.Address, bool) {
	at := slices.IndexFunc(c.pool, func(p eip.Address) bool { return p.Interface == c.id.Interface && p.Private.String() == c.id.PrivateIP })
	if at < 0 {
		return eip.Address{}, false
	}
	return c.pool[at], true
}

// holders looks for addresses that nobody uses although they are held.
func (c *cloudFindings) holders(ctx context.Context, a *account) Step {
	s := Step{Kind: Holders}
	var instances []string
	for _, p := range c.pool {
		if p.Instance != "" && !slices.Contains(instances, p.Instance) {
			instances = append(instances, p.Instance)
		}
	}
	switch {
	case c.pool == nil:
		return skip(s, "the pool cannot be listed")
	case len(instances) == 0:
		return skip(s, "no instance holds an address of the pool")
	}
	return measure(ctx, awsTime, s, func(ctx context.Context, s *Step) {
		states, err := lifecycle.InstanceStates(ctx, a.scaling, instances)
		if err != nil {
			*s = skip(*s, "the states of the holders are not known: "+unanswered(ctx, err))
			return
		}
		c.judgeHolders(s, states)
	})
}

// judgeHolders names holders that are retained, or of no group although this instance is of one.
func (c *cloudFindings) judgeHolders(s *Step, states map[string]string) {
	var odd, commands []string
	held := 0
	for _, p := range c.pool {
		if p.Free() {
			continue
		}
		held++
		state := states[p.Instance]
		switch {
		case lifecycle.IsRetained(state):
			odd = append(odd, fmt.Sprintf("%s by %s, which Auto Scaling retains (%s)", p.Public, p.Instance, state))
			commands = append(commands, "aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id "+word(p.Instance))
		case state == "" && c.group.Group != "":
			odd = append(odd, fmt.Sprintf("%s by %s, which is in no Auto Scaling group", p.Public, p.Holder()))
		default:
			continue
		}
		commands = append(commands, fmt.Sprintf("l4fwd eip release --eip-pool %s --interface %s --private-ip %s", word(c.selector), word(p.Interface), p.Private))
	}
	s.Evidence = fmt.Sprintf("%d addresses are held, each by an instance in service", held)
	if len(odd) > 0 {
		s.Evidence = strings.Join(odd, "; ")
		s.warn("such a holder serves nobody, and keeps an address that a new instance may need", commands...)
	}
}

// compareEgress judges the address that the far end sees against that of the metadata and the pool.
func (c *cloudFindings) compareEgress(s *Step, seen netip.Addr) {
	if !c.pooled() || !seen.IsValid() || c.pool == nil || c.id.Instance == "" || s.State == Skipped {
		return
	}
	ours := c.inPool(seen)
	switch {
	case c.public.IsValid() && seen != c.public:
		s.Evidence += fmt.Sprintf("; the instance metadata show %s", c.public)
		if ours {
			s.warn("the metadata follow a change within a minute", "l4fwd eip list --eip-pool "+word(c.selector))
			return
		}
		s.fail(fmt.Sprintf("the way out; connections leave from %s, not from the instance's %s", seen, c.public),
			"the route of the subnet leads to a NAT gateway, a firewall or another instance, whose address Azure sees", "aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET")
	case !ours:
		s.Evidence += ", which is not in the pool"
		s.fail(fmt.Sprintf("the way out; connections leave from %s, which is not in the pool", seen), "Azure's rules have the addresses of the pool, and sees another one", "l4fwd eip list --eip-pool "+word(c.selector))
	default:
		s.Evidence += ", which is in the pool"
	}
}
