package proxy

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// AddressStates lists the values of the label state of l4fwd_upstream_addresses and of AddressStatus.State.
func AddressStates() []string {
	var all []string
	for _, s := range upstream.States() {
		all = append(all, string(s))
	}
	return all
}

// setOptions is what the set of addresses is to do.
func (t *target) setOptions() upstream.Options {
	o := upstream.Options{
		Balance: map[string]upstream.Balance{"round_robin": upstream.RoundRobin, "first": upstream.First}[t.opts.Balance],
		Outlier: upstream.Outlier(t.opts.Outlier),
		Check: upstream.Check{
			Interval: t.opts.Check.Interval, Timeout: t.opts.Check.Timeout, Rise: t.opts.Check.Rise, Fall: t.opts.Check.Fall,
		},
		SlowStart: slowStart,
		Tag:       t.endpoints,
		OnChange:  t.changed,
	}
	switch t.opts.Check.Type {
	case "tcp":
		o.Check.Probe = upstream.ProbeTCP
	case "tls":
		// Also of backups: whoever serves the clients of this upstream must answer to the name they ask for.
		o.Check.Probe = upstream.ProbeTLS(strings.TrimSuffix(t.opts.Host, "."), nil, probeHeader(t.opts.SendProxy))
	}
	if t.opts.Removed.Close {
		o.CloseAfter, o.OnRemoved = t.opts.Removed.After, t.closeRemoved
	}
	return o
}

// closeRemoved ends the connections to an address that left the DNS answer, those being dialed too.
func (t *target) closeRemoved(a *upstream.Address) {
	if !t.server.started.Load() {
		return // asked again in a second
	}
	t.server.relay.CloseWhere(uses(a), relay.AddressRemoved)
}

// uses tells the connections to a from others.
func uses(a *upstream.Address) func(*relay.Flow) bool {
	return func(f *relay.Flow) bool { return f.Endpoint != nil && f.Endpoint.Tag.(*endpoints).addr == a }
}

// changed logs that an address went out or came back, from where a log may be slow.
func (t *target) changed(c upstream.Change) {
	t.server.policy.access.note(func() {
		fields := []zap.Field{zap.String("upstream", t.opts.Name), zap.Stringer("address", c.Addr),
			zap.String("state", string(c.State)), zap.String("why", c.Why), zap.Int("other_usable_addresses", c.Others)}
		if c.State == upstream.StateUsable {
			t.log.Info("an upstream address is used again", fields...)
		} else {
			t.log.Warn("an upstream address is out", fields...)
		}
		t.cool()
	})
}

// ready returns nil while there is an address that is neither failed by its check nor ejected, else why there is none.
func (t *target) ready() error {
	now := time.Now()
	if t.set.AnyUsable(now) {
		return nil
	}
	if notes := t.notes(now); len(notes) > 0 {
		return fmt.Errorf("upstream %q has no usable address: %s", t.opts.Name, strings.Join(notes, ", "))
	}
	if own := t.leftOut(); own != "" {
		return fmt.Errorf("upstream %q has no address: %s", t.opts.Name, own)
	}
	primary := t.sources[0]
	if primary.name == nil {
		return fmt.Errorf("upstream %q has no address", t.opts.Name)
	}
	if why := primary.name.Stats().LastError; why != "" {
		return fmt.Errorf("upstream %q has no address: %s", t.opts.Name, why)
	}
	return fmt.Errorf("upstream %q has no address yet: %s is being looked up", t.opts.Name, primary.host)
}

// notes says of each address that is in no good state why.
func (t *target) notes(now time.Time) []string {
	var notes []string
	for _, a := range t.set.Standings(now) {
		if a.Why != "" {
			notes = append(notes, fmt.Sprintf("%s %s (%s)", a.Addr, a.State, a.Why))
		}
	}
	return notes
}

func (t *target) status(now time.Time) UpstreamStatus {
	s := UpstreamStatus{Name: t.opts.Name, Address: t.sources[0].String(), MaxConns: t.opts.MaxConnections}
	s.Usable = t.set.AnyUsable(now)
	s.Failing = t.set.AllFailing()
	switch f := t.lastFail.Load(); {
	case len(t.set.Addresses()) == 0:
		s.Detail = "no address"
		if own := t.leftOut(); own != "" {
			s.Detail += ": " + own
		}
	case s.Failing && f != nil:
		s.Detail = fmt.Sprintf("every address fails; last: %s at %s, %s ago", f.reason, f.addr, now.Sub(f.at).Round(time.Second))
	case !s.Usable:
		s.Detail = "no usable address"
	}
	s.Warm = t.warmStatus()
	t.statusDNS(&s, now)
	for _, p := range t.account.allPairs() {
		b := p.tally.Sum()
		s.BytesUp += b.Up
		s.BytesDown += b.Down
		s.Active += p.active()
		for _, r := range reasonList {
			s.Total += p.ended(r)
		}
	}
	s.Total += uint64(max(s.Active, 0))
	for _, a := range t.set.Standings(now) {
		s.Addresses = append(s.Addresses, AddressStatus{
			Addr: a.Addr, State: string(a.State), Why: a.Why, Backup: a.Backup, Failures: uint64(a.Failures()),
			Active: max(a.Active()-a.Tag.(*endpoints).waiting.Load(), 0),
		})
	}
	return s
}

// statusDNS tells how old the answer for the primary is, and what is wrong with any name.
func (t *target) statusDNS(s *UpstreamStatus, now time.Time) {
	var faults []string
	for _, src := range t.sources {
		if src.name == nil {
			continue
		}
		st := src.name.Stats()
		if st.LastError != "" {
			faults = append(faults, st.LastError)
		}
		if !src.backup && !st.Answered.IsZero() {
			s.DNSAge = now.Sub(st.Answered).Seconds()
		}
	}
	s.DNSError = strings.Join(faults, "; ")
}
