package admin

import (
	"fmt"
	"strings"

	"github.com/l4fwd/l4fwd/proxy"
)

// headline is the first line of a daemon that is ready: what an operator must know although clients are served, joined
// by dots: "ready, but: the last reload failed · DNS of dais24 fails; the answer in use is 17s old".
func headline(s State) string {
	var but []string
	if len(s.Config.Faults) > 0 {
		but = append(but, "the last reload failed")
	}
	for _, u := range s.Proxy.Upstreams {
		but = append(but, troubles(u)...)
	}
	if len(s.Rates.Limited) > 0 {
		but = append(but, fmt.Sprintf("refused in the last %.0f s: %s", s.Rates.Seconds, counts(s.Rates.Limited)))
	}
	if len(but) == 0 {
		return "ready"
	}
	return "ready, but: " + strings.Join(but, " · ")
}

// troubles are those of an upstream, in a few words each.
func troubles(u proxy.UpstreamStatus) (all []string) {
	out := 0
	for _, a := range u.Addresses {
		if a.Why != "" && !a.Backup {
			out++
		}
	}
	switch {
	case !u.Usable:
		all = append(all, u.Name+" has no usable address")
	case u.Failing:
		all = append(all, "every attempt to connect to "+u.Name+" fails")
	case out > 0:
		all = append(all, fmt.Sprintf("%s has trouble with %d of %d addresses", u.Name, out, len(u.Addresses)))
	}
	if u.Storm != "" {
		all = append(all, u.Name+" seems to lead back to this forwarder")
	}
	if u.Admission != nil && u.Admission.State == proxy.Refused {
		all = append(all, u.Name+" refuses this instance's public address")
	}
	switch {
	case u.DNSError == "":
	case u.DNSAge > 0:
		all = append(all, fmt.Sprintf("DNS of %s fails; the answer in use is %s old", u.Name, age(u.DNSAge)))
	default:
		all = append(all, "DNS of "+u.Name+" fails")
	}
	return all
}
