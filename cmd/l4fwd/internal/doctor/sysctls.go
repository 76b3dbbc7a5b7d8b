package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/l4fwd/l4fwd/health/probe"
)

// Sysctl is a setting of the kernel that the packages set.
type Sysctl struct {
	Name, Value, Why string
	exact            bool // another value is not better; else a larger one is
}

// Recommended are the settings of /usr/lib/sysctl.d/60-l4fwd.conf whose lack limits what l4fwd can do.
var Recommended = []Sysctl{
	{"net.core.somaxconn", "65535", "a burst of reconnects overflows the queue of connections that wait to be accepted", false},
	{"net.ipv4.tcp_max_syn_backlog", "65535", "half-open connections beyond it cost window scaling", false},
	{"net.ipv4.tcp_migrate_req", "1", "a client that comes in the instant in which a drain or a reload closes a listening socket is reset", true},
	{"net.ipv4.ip_local_port_range", "10240 65535", "28,000 connections to an upstream address in place of 55,000", true},
	{"net.ipv4.tcp_tw_reuse", "1", "a port in TIME_WAIT cannot be used for a new connection to the same upstream", true},
	{"net.ipv4.tcp_slow_start_after_idle", "0", "after a pause a connection starts slowly again, and a chat has pauses", true},
	{"net.ipv4.tcp_rmem", "4096 131072 16777216", "less than 1 Gbit/s a connection over 100 ms", false},
	{"net.ipv4.tcp_wmem", "4096 65536 16777216", "less than 1 Gbit/s a connection over 100 ms", false},
	{"net.ipv4.tcp_mtu_probing", "1", "a connection hangs where a network drops the ICMP messages about a smaller MTU", true},
	{"fs.pipe-user-pages-soft", "262144", "with many spliced connections, pipes shrink to one page", false},
}

// meets reports whether a value is as good as the recommended one. Of several fields the last counts: the maximum; of the port range
// both do.
func (c Sysctl) meets(value string) bool {
	want, have := strings.Fields(c.Value), strings.Fields(value)
	if len(want) != len(have) {
		return false
	}
	if c.Name == "net.ipv4.ip_local_port_range" {
		return number(have[1])-number(have[0]) >= number(want[1])-number(want[0])
	}
	if c.exact {
		return value == c.Value
	}
	last := len(want) - 1
	return number(have[last]) >= number(want[last]) || c.Name == "fs.pipe-user-pages-soft" && number(have[last]) == 0 // 0: no limit
}

// number reads a number that the kernel has written; 0 for anything else.
func number(text string) int {
	n, _ := strconv.Atoi(text) // the kernel writes numbers
	return n
}

// sysctls compares the settings of the kernel.
func sysctls(s *Step) {
	known := 0
	var less []string
	var set strings.Builder
	for _, c := range Recommended {
		value, ok := probe.Sysctl(c.Name)
		if !ok {
			continue // the container, or the kernel, does not have it
		}
		if known++; c.meets(value) {
			continue
		}
		less = append(less, fmt.Sprintf("%s is %s, recommended %s: %s", c.Name, value, c.Value, c.Why))
		fmt.Fprintf(&set, " %s='%s'", c.Name, c.Value)
	}
	switch {
	case known == 0:
		*s = skip(*s, "they cannot be read here")
	case len(less) == 0:
		s.Evidence = fmt.Sprintf("%d settings are as recommended", known)
	default:
		s.Evidence = fmt.Sprintf("%d of %d settings are as recommended", known-len(less), known)
		s.warn(strings.Join(less, "\n"), "install 60-l4fwd.conf in /etc/sysctl.d, then: sysctl --system", "sysctl -w"+set.String())
	}
}
