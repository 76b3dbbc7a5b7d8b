package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// firstAnswer is how long Reload waits for the addresses of new upstreams: as long as two silent servers take that are asked twice.
const firstAnswer = 8 * time.Second

// Reload puts o in place of the options in use without touching a connection: each keeps the upstream and the limits by which
// it was accepted, also if listener or upstream are gone. Engine, Loops, Steered, DNS, Prober, Log and AccessLogger stay as they are. A
// listener whose address stays goes on accepting without a gap, and its FD is not looked at. An upstream of the same name
// keeps the standing of its addresses, and the count of their connections.
//
// Reload waits for the first lookup of each new name, and for the first check of its addresses; the old options serve meanwhile.
// An error has changed nothing: a listener cannot be opened (a *ListenError), an upstream's name has no address after some
// seconds, the server has stopped accepting, or ctx ended.
func (s *Server) Reload(ctx context.Context, o Options) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	defer s.sweepLater()
	if s.stopped.Load() {
		return errors.New("reload: the listeners are closed")
	}
	old := s.policy.table.Load()
	o.Engine, o.Loops, o.Steered, o.DNS, o.Log, o.AccessLogger = old.opts.Engine, old.opts.Loops, old.opts.Steered, old.opts.DNS, old.opts.Log, old.opts.AccessLogger
	forget := s.counters.mark()
	next, fresh, err := s.compile(o, old)
	if err == nil {
		err = s.begin(ctx, fresh)
	}
	if err == nil {
		err = s.relay.SetListeners(s.listeners(o), func() { s.policy.table.Store(next) })
	}
	if err != nil {
		for _, t := range fresh {
			t.stop()
		}
		forget()
		return err
	}
	s.follow(next, old)
	return nil
}

// follow has all the rest of the server do as the table says that has come into force. Nothing of it fails.
func (s *Server) follow(next, old *table) {
	s.limit(next.opts)
	if !s.noWarm {
		s.relay.SetWarm(next.pools())
	}
	s.relay.Tune(next.opts.tuning())
	s.logAs(next.opts)
	for _, t := range next.targets {
		t.listenersAre(next.opts.Listeners)
	}
	next.succeed(old)
}

// succeed ends the targets of old that are not in t. One of the same name goes on as the new one.
func (t *table) succeed(old *table) {
	for _, had := range old.targets {
		if slices.Contains(t.targets, had) {
			continue
		}
		if now := t.named(had.opts.Name); now != nil {
			now.succeed(had)
		} else {
			had.stop()
		}
	}
}

// begin has new targets watched. It returns once each has addresses and, with a check, knows whether they work.
func (s *Server) begin(ctx context.Context, fresh []*target) error {
	for _, t := range fresh {
		if err := t.watch(s.resolver); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	for _, t := range fresh {
		select {
		case <-t.answered:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("reload: cut short while %s is being looked up: %w", t.sources[0].host, ctx.Err())
			}
			return t.noAnswer()
		}
	}
	for _, t := range fresh {
		t.awaitChecks(ctx)
	}
	return nil
}

// awaitChecks returns once an address of the target is known to work, or each is known not to, or ctx ends. Otherwise a reload
// would make this instance unready until the first check of a new upstream.
func (t *target) awaitChecks(ctx context.Context) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !t.set.AnyProven(time.Now()) && !t.set.AllProven() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}
