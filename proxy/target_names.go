package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// source is a host and a port that addresses of an upstream come from.
type source struct {
	host   string
	port   uint16
	backup bool
	name   *resolve.Name // nil where the host is an address
	answer []netip.Addr  // under target.mu; nil: none yet
}

func (src *source) String() string { return net.JoinHostPort(src.host, strconv.Itoa(int(src.port))) }

// watch begins to keep the addresses fresh. The caller ends it with stop, or succeed of another target, also after an error.
func (t *target) watch(r *resolve.Resolver) error {
	for _, src := range t.sources {
		if a, err := netip.ParseAddr(src.host); err == nil {
			t.update(src, []netip.Addr{a})
			continue
		}
		n, err := r.Watch(src.host, func(addrs []netip.Addr) { t.update(src, addrs) })
		if err != nil {
			return fmt.Errorf("upstream %q: %w", t.opts.Name, err)
		}
		src.name = n
	}
	return nil
}

// forgetNames ends the lookups.
func (t *target) forgetNames() {
	for _, src := range t.sources {
		if src.name != nil {
			src.name.Close()
		}
	}
}

// refresh has the names looked up early: the addresses may have moved.
func (t *target) refresh() {
	for _, src := range t.sources {
		if src.name != nil {
			src.name.Refresh()
		}
	}
}

// sameNames reports whether two targets have their addresses from the same names.
func (t *target) sameNames(other *target) bool {
	return t.opts.Host == other.opts.Host && t.opts.Port == other.opts.Port &&
		slices.Equal(t.opts.Others, other.opts.Others) && slices.Equal(t.opts.Backups, other.opts.Backups)
}

// update takes an answer for one of the sources.
func (t *target) update(src *source, addrs []netip.Addr) {
	defer t.replaceWarm()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !src.backup && !t.looked {
		t.looked = true
		defer close(t.answered)
	}
	src.answer = addrs
	t.fill()
}

// listenersAre looks at the addresses again after the listeners have changed.
func (t *target) listenersAre(listeners []Listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if reflect.DeepEqual(t.listeners, listeners) {
		return
	}
	t.listeners = listeners
	t.fill()
}

// fill puts the answers into the set. The caller holds mu.
func (t *target) fill() {
	var primaries, backups []netip.AddrPort
	for _, src := range t.sources {
		if src.backup {
			backups = append(backups, t.others(src)...)
		} else {
			primaries = append(primaries, t.others(src)...)
		}
	}
	t.set.Update(primaries, backups)
}

// others returns the addresses of a source without those of this forwarder itself. The caller holds mu.
func (t *target) others(src *source) []netip.AddrPort {
	aps := make([]netip.AddrPort, 0, len(src.answer))
	for _, a := range src.answer {
		ap := netip.AddrPortFrom(a.Unmap(), src.port)
		if name := t.ownListener(ap); name != "" {
			t.log.Error("an address of the upstream is this forwarder's own listener: it is left out, since connections would go in circles",
				zap.String("upstream", t.opts.Name), zap.String("host", src.host), zap.Stringer("address", ap), zap.String("listener", name))
			continue
		}
		aps = append(aps, ap)
	}
	return aps
}

// leftOut names an address that others left out, and why; "" if it left out none.
func (t *target) leftOut() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, src := range t.sources {
		for _, a := range src.answer {
			ap := netip.AddrPortFrom(a.Unmap(), src.port)
			if name := t.ownListener(ap); name != "" {
				return fmt.Sprintf("%s is this forwarder's own listener %q", ap, name)
			}
		}
	}
	return ""
}

// ownListener returns the name of the listener that would accept a connection to ap, "" if none would.
func (t *target) ownListener(ap netip.AddrPort) string {
	for _, ln := range t.listeners {
		if ln.Addr.Port() != ap.Port() {
			continue
		}
		if ln.Addr.Addr().Unmap() == ap.Addr() || ln.Addr.Addr().IsUnspecified() && isOfThisHost(ap.Addr()) {
			return ln.Name
		}
	}
	return ""
}

// isOfThisHost reports whether an address is one of this machine's. If the system does not list its addresses, only loopback is.
func isOfThisHost(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr() == a
	})
}

// lookupFaults returns what is wrong with the last lookup of each name, one text for each.
func (t *target) lookupFaults() (faults []string) {
	for _, src := range t.sources {
		if src.name == nil {
			continue
		}
		if why := src.name.Stats().LastError; why != "" {
			faults = append(faults, why)
		}
	}
	return faults
}
