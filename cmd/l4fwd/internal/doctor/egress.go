package doctor

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/l4fwd/l4fwd/health/probe"
)

// egressFindings are the address that this machine's connections come from.
type egressFindings struct {
	addr  netip.Addr // zero: not known
	from  string     // who says so
	steps []Step
}

// testEgress finds out the address that the far end sees: as a refusal names it, as a service in the internet sees it, as the
// instance metadata show it. Nobody is asked if nothing depends on it.
func (x *examination) testEgress(ctx context.Context, targets []targetFindings, cloud *cloudFindings) egressFindings {
	s := Step{Kind: Egress}
	refused := false
	var out egressFindings
	for _, t := range targets {
		for _, f := range t.addresses {
			if f.answer.Refusal == "" {
				continue
			}
			refused = true
			if a := probe.SeenAddress(f.answer.Body); a.IsValid() && !out.addr.IsValid() {
				out.addr, out.from = a, "as "+t.target.server()+" says"
			}
		}
	}
	switch {
	case out.addr.IsValid():
		s.State, s.Evidence = OK, fmt.Sprintf("%s, %s", out.addr, out.from)
	case !refused && !cloud.pooled():
		s = skip(s, "nothing depends on it: no eip.pool is configured, and no firewall refuses this machine")
	case x.EgressURL == "":
		s = skip(s, "--egress-url is off")
	default:
		s = measure(ctx, egressTime, s, func(ctx context.Context, s *Step) {
			addr, err := probe.Egress(ctx, x.EgressURL)
			if err != nil {
				*s = skip(*s, "it cannot be found out: "+err.Error())
				return
			}
			out.addr, out.from = addr, "as "+x.EgressURL+" sees it"
			s.Evidence = fmt.Sprintf("%s, %s", addr, out.from)
		})
	}
	cloud.compareEgress(&s, out.addr)
	if !out.addr.IsValid() && cloud.public.IsValid() {
		out.addr, out.from = cloud.public, "as the instance metadata show it"
	}
	out.steps = []Step{s}
	return out
}

// nameRefusals completes the steps in which Azure refused this machine's address: which one it is, and how to admit it.
func (t targetFindings) nameRefusals(egress egressFindings, cloud *cloudFindings) {
	for _, f := range t.addresses {
		if f.answer.Refusal == "" {
			continue
		}
		for i := range t.steps {
			s := &t.steps[i]
			if at, _ := netip.ParseAddrPort(s.Subject); s.Kind != HTTPS || s.State != Failed || at.Addr() != f.addr { // of no address: the zero value
				continue
			}
			if disabled(f.answer) {
				t.target.nameDisabled(s)
			} else {
				t.target.nameRefusal(s, egress, cloud)
			}
		}
	}
}

// nameRefusal says that a rule is missing, and which one.
func (t Target) nameRefusal(s *Step, egress egressFindings, cloud *cloudFindings) {
	name, address := resource(t.server()), "ADDRESS"
	who := "this machine's address"
	if egress.addr.IsValid() {
		address = egress.addr.String()
		who = address
	}
	meaning := "the firewall of the resource lists no address that this machine's connections come from; a new rule takes some minutes. " +
		"If it has the rule: the resource may be in a network security perimeter, or another address is used (a NAT gateway, a proxy)"
	commands := []string{
		"az cognitiveservices account network-rule add --resource-group \"$(az cognitiveservices account list --query \"[?name=='" + name + "'].resourceGroup\" --output tsv)\" --name " + name + " --ip-address " + address,
	}
	if cloud.pooled() {
		commands = append(commands, "l4fwd eip list --eip-pool "+word(cloud.selector)+" --format azure-cli    # for every address of the pool")
	}
	s.fail("Azure firewall; "+who+" is not in the resource's rules", meaning, commands...)
}

// nameDisabled says that the resource has no public access.
func (t Target) nameDisabled(s *Step) {
	name := resource(t.server())
	s.fail("Azure firewall; public access of "+t.server()+" is disabled",
		"the resource admits private endpoints only, so no address rule helps. Enable public access for selected networks, or connect to its private endpoint over a VPN and name "+
			"that address in upstreams. A network security perimeter can have the same effect (public access secured by perimeter)",
		"az resource update --ids \"$(az cognitiveservices account list --query \"[?name=='"+name+"'].id\" --output tsv)\" --set properties.publicNetworkAccess=Enabled properties.networkAcls.defaultAction=Deny")
}
