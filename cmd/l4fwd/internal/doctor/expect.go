package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Expect is what a target should be from here. Empty: it should answer.
type Expect string

// The expectations.
const (
	ExpectPublic      Expect = "public"      // its name has public addresses, and one answers
	ExpectPrivate     Expect = "private"     // its name has private addresses only, and one answers
	ExpectUnreachable Expect = "unreachable" // nothing there can be used from here
)

// Expectations lists them.
var Expectations = []Expect{ExpectPublic, ExpectPrivate, ExpectUnreachable}

// judgeExpectation adds the step that compares what was found with what is expected. If the expectation is that nothing answers, a
// failure on the way is what passes.
func judgeExpectation(t Target, steps []Step, all []lookup, addresses []*addressFindings) []Step {
	s := Step{Kind: Expectation, Target: t.String(), State: OK}
	switch t.Expect {
	case ExpectUnreachable:
		steps, s = judgeUnreachable(t, s, steps, addresses)
	case ExpectPrivate:
		judgeReach(&s, t, "private", all, addresses)
	case ExpectPublic:
		judgeReach(&s, t, "public", all, addresses)
	}
	return append(steps, s)
}

// judgeUnreachable passes if no address gave an answer but a refusal of this network.
func judgeUnreachable(t Target, s Step, steps []Step, addresses []*addressFindings) ([]Step, Step) {
	for _, f := range addresses {
		if f.works && f.answer.Refusal == "" {
			s.Evidence = fmt.Sprintf("%s answers %d", f.addr, f.answer.Status)
			if f.answer.Status == 0 {
				s.Evidence = fmt.Sprintf("%s answers, and speaks no TLS", f.addr)
			}
			s.fail(fmt.Sprintf("the isolation of %s; it is reachable from here", t), "it must not be, and it answers without a refusal of this network: its public access is on, or a firewall lets this network pass",
				"az resource update --ids RESOURCE_ID --set properties.publicNetworkAccess=Disabled")
			return steps, s
		}
	}
	s.Evidence = "not reachable from here, as expected: " + strings.Join(reasons(steps), "; ")
	for i := range steps {
		if steps[i].State == Failed {
			steps[i].State, steps[i].Fault, steps[i].Meaning, steps[i].Commands = OK, "", "", nil
			steps[i].Evidence += " (expected)"
		}
	}
	return steps, s
}

// reasons are why steps failed, each once.
func reasons(steps []Step) []string {
	var all []string
	for _, s := range steps {
		if s.State == Failed && !slices.Contains(all, s.Evidence) {
			all = append(all, s.Evidence)
		}
	}
	return all
}

// judgeReach passes if all addresses of the name are of that kind. Whether they answer is what the other steps are for.
func judgeReach(s *Step, t Target, want string, all []lookup, addresses []*addressFindings) {
	if len(addresses) == 0 {
		*s = skip(*s, failedStep(Name))
		return
	}
	alias := ""
	for _, l := range all {
		for _, a := range l.Aliases {
			if strings.Contains(a.Target, ".privatelink.") {
				alias = a.Target
			}
		}
	}
	for _, f := range addresses {
		is := reach(f.addr)
		if is == want {
			continue
		}
		s.Evidence = fmt.Sprintf("%s is %s", f.addr, is)
		fault := fmt.Sprintf("DNS; %s resolves to the %s address %s, not to a %s one", t.Host, is, f.addr, want)
		switch {
		case want == "public":
			s.fail(fault, "a private zone or an entry of the resolver overrides the public record", "dig "+t.Host)
		case alias != "":
			s.fail(fault, fmt.Sprintf("the alias %s exists, so there is a private endpoint; the network of this machine is not linked to the zone %s, or its resolver does not ask Azure's",
				alias, zone(alias)), fmt.Sprintf("az network private-dns link vnet create --resource-group RG --zone-name %s --name l4fwd --virtual-network VNET --registration-enabled false", word(zone(alias))))
		default:
			s.fail(fault, "there is no privatelink alias on the way: the resource has no private endpoint, or the resolver overrides the name",
				"az network private-endpoint list --query \"[].{name:name,target:privateLinkServiceConnections[0].privateLinkServiceId}\" --output table")
		}
		return
	}
	s.Evidence = "every address is " + want
	if alias != "" {
		s.Evidence += ", by the alias " + alias
	}
}

// zone is the private zone that an alias is in.
func zone(alias string) string {
	_, zone, _ := strings.Cut(alias, ".")
	return zone
}
