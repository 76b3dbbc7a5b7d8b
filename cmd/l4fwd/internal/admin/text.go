package admin

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/proxy"
)

// WriteText writes the state for a person who was woken up at night: first what is wrong, then where it may come from. Lines
// have at most width letters; 0: as many as they take. out is a buffer, whose errors are not looked at.
func WriteText(out io.Writer, s State, width int) {
	var text strings.Builder
	writeState(&text, s, width)
	if width == 0 {
		width = math.MaxInt
	}
	_, _ = io.WriteString(out, wrap(plain.Lines(text.String()), width))
}

// writeState writes the state with tables of at most width letters.
func writeState(out io.Writer, s State, width int) {
	writeReadiness(out, s)
	p := s.Proxy
	fmt.Fprintf(out, "\nl4fwd %s (%s), pid %d, up %s\n", s.Build.Version, s.Build.Commit, s.PID, age(s.Uptime))
	fmt.Fprintf(out, "engine %s, %s (%s)\n", p.Engine, plain.Counted(p.Loops, "loop"), p.EngineReason)
	fmt.Fprintf(out, "connections %d of %s, %.1f/s; up %s/s, down %s/s over %.0f s%s\n",
		p.Active, limitText(p.MaxConns), s.Rates.Connections, size(s.Rates.BytesUp), size(s.Rates.BytesDown), s.Rates.Seconds, busyText(s.Rates.Busy))
	writeTaken(out, s.Taken)
	writeCloud(out, s)
	writeConfig(out, s.Config)
	fmt.Fprintln(out)
	writeListeners(out, p.Listeners, s.Sources, width)
	fmt.Fprintln(out)
	writeUpstreams(out, p.Upstreams, width)
}

// writeReadiness writes whether the daemon is ready, and the conditions that do not hold.
func writeReadiness(out io.Writer, s State) {
	switch {
	case s.Draining:
		fmt.Fprintf(out, "DRAINING, %d connections open\n", s.Proxy.Active)
		if dr := s.Drain; dr != nil {
			fmt.Fprintf(out, "  begun %s by %s; what is open at %s is closed\n", dr.Begun.Format(time.RFC3339), dr.By, dr.Until.Format(time.RFC3339))
		}
	case s.Ready:
		fmt.Fprintln(out, headline(s))
	default:
		fmt.Fprintln(out, "NOT READY")
	}
	for _, c := range s.Conditions {
		if !c.OK && c.Name != "draining" {
			fmt.Fprintf(out, "  %s: %s\n", c.Name, c.Reason)
		}
	}
}

// writeConfig prints what an operator must know of the configuration; nothing while all is well.
func writeConfig(out io.Writer, c ConfigState) {
	if !c.Begun.IsZero() {
		fmt.Fprintf(out, "a reload is under way since %s\n", c.Begun.Format(time.RFC3339))
	}
	if len(c.Faults) > 0 {
		fmt.Fprintf(out, "the reload of %s FAILED and changed nothing:\n  %s\n", c.Tried.Format(time.RFC3339), strings.Join(c.Faults, "\n  "))
	}
	if len(c.Fixed) > 0 {
		fmt.Fprintf(out, "new values that take an upgrade or a restart: %s\n", strings.Join(c.Fixed, ", "))
	}
}

// writeListeners writes a row for each listener, and why clients were refused.
func writeListeners(out io.Writer, all []proxy.ListenerStatus, sources map[string]string, width int) {
	t := table{shrink: []int{0, 1, 3}}
	t.row("LISTENER", "ADDRESS", "SOURCE", "UPSTREAM", "ACTIVE", "ACCEPTED", "REFUSED")
	for _, l := range all {
		address := l.Addr.String()
		if !l.Open {
			address += " (closed)"
		}
		t.row(l.Name, address, cmp.Or(sources[l.Name], SourceOpened), l.Upstream, fmt.Sprint(l.Active), fmt.Sprint(l.Accepted), fmt.Sprint(l.Refused))
	}
	t.write(out, width)
	for _, l := range all {
		if len(l.Reasons) > 0 {
			fmt.Fprintf(out, "%s: refused since the start: %s\n", l.Name, counts(l.Reasons))
		}
	}
}

// counts writes numbers by name, the largest first.
func counts(of map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, of[name])
	}
	return strings.Join(names, ", ")
}

// writeUpstreams writes a row for each upstream, where it leads and a row for each address, then what is wrong with them.
func writeUpstreams(out io.Writer, all []proxy.UpstreamStatus, width int) {
	t := table{shrink: []int{0}}
	t.row("UPSTREAM", "STATE", "ACTIVE", "TOTAL", "UP", "DOWN", "DNS AGE")
	for _, u := range all {
		dns := "-"
		if u.DNSAge > 0 {
			dns = age(u.DNSAge)
		}
		active := fmt.Sprint(u.Active)
		if u.MaxConns > 0 {
			active = fmt.Sprintf("%d of %d", u.Active, u.MaxConns)
		}
		t.row(u.Name, standing(u), active, fmt.Sprint(u.Total), size(float64(u.BytesUp)), size(float64(u.BytesDown)), dns)
		if !slices.ContainsFunc(u.Addresses, func(a proxy.AddressStatus) bool { return a.Addr.String() == u.Address }) {
			t.row("  " + u.Address) // a name; an IP address has a row below
		}
		for _, a := range u.Addresses {
			t.row("  "+a.Addr.String(), a.State, fmt.Sprint(a.Active))
		}
	}
	t.write(out, width)
	for _, u := range all {
		for _, a := range u.Addresses {
			writeAddress(out, u.Name, a)
		}
		switch {
		case u.Failing:
			fmt.Fprintf(out, "%s: FAILING: %s\n", u.Name, u.Detail)
		case u.Detail != "":
			fmt.Fprintf(out, "%s: %s\n", u.Name, u.Detail)
		}
		writeAdmission(out, u)
		if w := u.Warm; w != nil {
			fmt.Fprintf(out, "%s: warm connections: %d of %d ready%s\n", u.Name, w.Ready, w.Wanted, because(w.Why))
		}
		if u.DNSError != "" {
			fmt.Fprintf(out, "%s: dns: %s\n", u.Name, u.DNSError)
		}
	}
}

// writeAddress prints what is wrong with an address of an upstream; nothing while all is well.
func writeAddress(out io.Writer, upstream string, a proxy.AddressStatus) {
	failed, why := "", ""
	if a.Failures > 0 {
		failed = fmt.Sprintf(", %d failed", a.Failures)
	}
	if a.Why != "" {
		why = ": " + a.Why
	}
	if failed+why != "" {
		fmt.Fprintf(out, "%s: %s %s%s%s\n", upstream, a.Addr, a.State, failed, why)
	}
}

// writeAdmission prints what the upstream says of this instance's public address, unless it admits it.
func writeAdmission(out io.Writer, u proxy.UpstreamStatus) {
	switch a := u.Admission; {
	case a == nil || a.State == proxy.Admitted:
	case a.State == proxy.Refused:
		fmt.Fprintf(out, "%s: REFUSES this instance's public address for %s (admission %s): %s\n", u.Name, age(time.Since(a.Since).Seconds()), a.Mode, a.Detail)
	default:
		fmt.Fprintf(out, "%s: no check over HTTPS was answered yet (admission %s)\n", u.Name, a.Mode)
	}
}

// because is a cause in the words that follow a state; empty without one.
func because(why string) string {
	if why == "" {
		return ""
	}
	return "; last: " + why
}

// standing is an upstream's state in a word. What an operator must act on is in capitals.
func standing(u proxy.UpstreamStatus) string {
	switch {
	case !u.Usable:
		return "UNUSABLE"
	case u.Failing:
		return "FAILING"
	case u.Admission != nil && u.Admission.State == proxy.Refused:
		return "REFUSES"
	}
	return "usable"
}

// limitText is a limit in words; 0 is none.
func limitText(n int) string {
	if n == 0 {
		return "any number"
	}
	return fmt.Sprint(n)
}

// busyText is the load of each loop in percent.
func busyText(busy []float64) string {
	if len(busy) == 0 {
		return ""
	}
	parts := make([]string, len(busy))
	for i, b := range busy {
		parts[i] = fmt.Sprintf("%.0f%%", 100*b)
	}
	return "; loops busy " + strings.Join(parts, " ")
}

// size writes bytes with the unit that leaves three digits: 1.5 MB.
func size(bytes float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB", "TB"} {
		if bytes < 999.5 || unit == "TB" {
			if unit == "B" || bytes >= 99.95 {
				return fmt.Sprintf("%.0f %s", bytes, unit)
			}
			return fmt.Sprintf("%.1f %s", bytes, unit)
		}
		bytes /= 1000
	}
	return ""
}

// age writes seconds as 12s, 3m12s, 5h3m or 12d4h.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	switch d = d.Round(time.Second); { // before a unit is chosen: 59m59.7s is 1h0m
	case d < time.Hour:
		return d.String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
