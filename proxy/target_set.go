package proxy

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// slowStart is how long an address that was out takes to get its full share of the connections again.
const slowStart = 30 * time.Second

// setOptions compiles the options of the set of addresses. before is the target whose set it is to replace, or nil.
func (t *target) setOptions(before *target) upstream.Options {
	o := upstream.Options{
		Balance: t.opts.Balance,
		Outlier: upstream.Outlier(t.opts.Outlier),
		Check: upstream.Check{
			Probe: t.probe(), Interval: t.opts.Check.Interval, Timeout: t.opts.Check.Timeout, Rise: t.opts.Check.Rise, Fall: t.opts.Check.Fall,
		},
		SlowStart: slowStart,
		Tag:       t.endpoints,
		OnChange:  t.changed,
	}
	if t.opts.Removed.Close {
		o.CloseAfter, o.OnRemoved = t.opts.Removed.After, t.closeRemoved
	}
	o.Saved = t.server.known.Upstreams[t.opts.Name]
	if before != nil {
		o.Before = before.set
	}
	return o
}

// closeRemoved ends the connections to an address that left the DNS answer, and the attempts at it.
func (t *target) closeRemoved(a *upstream.Address) {
	if !t.server.started.Load() {
		return // the set asks again in a second
	}
	t.server.relay.CloseWhere(t.uses(a), relay.AddressRemoved)
}

// uses returns the function that finds the connections to an address of the upstream, older targets of that name included.
func (t *target) uses(a *upstream.Address) func(*relay.Flow) bool {
	return func(f *relay.Flow) bool {
		if f.Endpoint == nil {
			return false
		}
		e := f.Endpoint.Tag.(*endpoints)
		return e.addr.Addr == a.Addr && e.target.opts.Name == t.opts.Name
	}
}

// changed logs that an address went out or came back. It is Options.OnChange of the set and must not wait for a log.
func (t *target) changed(c upstream.Change) {
	t.server.policy.access.event(func() {
		fields := []zap.Field{zap.String("upstream", t.opts.Name), zap.Stringer("address", c.Addr),
			zap.String("state", string(c.State)), zap.String("why", c.Why), zap.Int("other_usable_addresses", c.Others)}
		if c.State == upstream.StateUsable {
			t.log.Info("an upstream address is used again", fields...)
		} else {
			t.log.Warn("an upstream address is out", fields...)
		}
		t.replaceWarm()
	})
}

// ready returns nil while there is an address that is known to be usable, otherwise why there is none.
func (t *target) ready() error {
	now := time.Now()
	if t.set.AnyProven(now) {
		return nil
	}
	if why := append(t.lookupFaults(), t.notes(now)...); len(t.set.Addresses()) > 0 {
		return fmt.Errorf("upstream %q has no usable address: %s", t.opts.Name, strings.Join(why, ", "))
	}
	if own := t.leftOut(); own != "" {
		return fmt.Errorf("upstream %q has no address: %s", t.opts.Name, own)
	}
	return t.noAnswer()
}

// noAnswer explains why the upstream's name has no address yet, and beside it what is wrong with those of its backups.
func (t *target) noAnswer() error {
	why := t.lookupFaults()
	if len(why) == 0 && t.sources[0].name == nil {
		return fmt.Errorf("upstream %q has no address", t.opts.Name)
	}
	if primary := t.sources[0]; primary.name != nil && primary.name.Stats().LastError == "" {
		return fmt.Errorf("upstream %q has no address yet: %s", t.opts.Name, strings.Join(append([]string{primary.host + " is being looked up"}, why...), ", "))
	}
	return fmt.Errorf("upstream %q has no address: %s", t.opts.Name, strings.Join(why, ", "))
}

// notes explains each address that is in no good state, one text for each.
func (t *target) notes(now time.Time) []string {
	var notes []string
	for _, a := range t.set.Standings(now) {
		if a.Why != "" {
			notes = append(notes, fmt.Sprintf("%s %s (%s)", a.Addr, a.State, a.Why))
		}
	}
	return notes
}
