package admin

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// writeCloud writes a line for the address and one for the lifecycle.
func writeCloud(out io.Writer, s State) {
	switch {
	case s.EIP != nil && s.Instance != nil:
		fmt.Fprintf(out, "elastic IP %s; %s, %s, %s\n", holdText(*s.EIP), s.Instance.Instance, s.Instance.Interface, s.Instance.Region)
	case s.EIP != nil:
		fmt.Fprintf(out, "elastic IP %s\n", holdText(*s.EIP))
	}
	if s.Lifecycle != nil {
		fmt.Fprintf(out, "lifecycle %s\n", lifecycleText(*s.Lifecycle))
	}
}

// holdText is the Elastic IP in words.
func holdText(s eip.Status) string {
	switch {
	case s.Hold == nil && !s.Wanted:
		return "none, and none is wanted"
	case s.Hold == nil:
		return "NONE: " + s.Reason
	}
	text := fmt.Sprintf("%s (%s) for %s", s.Hold.Public, s.Hold.Allocation, age(time.Since(s.Hold.Since).Seconds()))
	if !s.Verified.IsZero() {
		text += ", verified " + age(time.Since(s.Verified).Seconds()) + " ago"
	}
	if s.Reason != "" {
		text += "; " + s.Reason
	}
	return text
}

// lifecycleText is the lifecycle in words.
func lifecycleText(s lifecycle.Status) string {
	parts := []string{string(s.State)}
	if s.Group != "" {
		parts = append(parts, "group "+s.Group)
	}
	if s.Current != "" && s.Current != "InService" {
		parts = append(parts, "now "+s.Current+" on the way to "+s.Target)
	}
	if len(s.Hooks) > 0 {
		parts = append(parts, "hooks "+strings.Join(s.Hooks, ", "))
	}
	if s.Fault != "" {
		parts = append(parts, "FAILING: "+s.Fault)
	}
	return strings.Join(parts, "; ")
}
