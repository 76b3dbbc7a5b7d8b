package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// firstAnswer is how long Reload waits for the addresses of upstreams that are new: two servers that do not answer, twice.
const firstAnswer = 8 * time.Second

// Reload puts o in place of the options in use, without touching a connection: these keep the upstream and the limits
// they were accepted with, also where listener or upstream are gone. Engine, Loops, DNS, Log and AccessLogger stay what
// they are. A listener whose address stays goes on accepting without a gap, and its FD is not looked at; an upstream
// whose options stay keeps its addresses and their standing.
//
// An error has changed nothing: a listener that cannot be opened (a *ListenError), an upstream whose name has no address
// yet after some seconds, a server that has stopped accepting, or the end of ctx. Reload waits for the first lookup of each new name;
// what it replaces serves meanwhile.
func (s *Server) Reload(ctx context.Context, o Options) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopped.Load() {
		return errors.New("reload: the listeners are closed")
	}
	old := s.policy.table.Load()
	o.Engine, o.Loops, o.DNS, o.Log, o.AccessLogger = old.opts.Engine, old.opts.Loops, old.opts.DNS, old.opts.Log, old.opts.AccessLogger
	next, fresh, err := s.compile(o, old)
	if err != nil {
		return err
	}
	if err = s.begin(ctx, fresh); err == nil {
		err = s.relay.SetListeners(s.listeners(o), func() { s.policy.table.Store(next) })
	}
	if err != nil {
		stopAll(fresh)
		return err
	}
	if err := s.limit(o); err != nil {
		return err // the options allow no such limits
	}
	if !s.cold {
		s.relay.SetWarm(next.pools())
	}
	s.relay.Tune(o.tuning())
	s.policy.access.which.Store(uint32(o.Access))
	for _, t := range next.targets {
		t.listenersAre(o.Listeners)
	}
	replaceAll(old.targets, next.targets)
	return nil
}

// replaceAll ends those of old that are not in next, or leaves what they still have to do to those of the same name.
func replaceAll(old, next []*target) {
	for _, t := range old {
		if slices.Contains(next, t) {
			continue
		}
		i := slices.IndexFunc(next, func(n *target) bool { return n.opts.Name == t.opts.Name })
		if i < 0 {
			t.stop()
			continue
		}
		next[i].succeed(t)
	}
}

// begin has new targets watched, and returns once each has addresses.
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
			if err := t.ready(); err != nil && ctx.Err() == context.DeadlineExceeded {
				return err
			}
			return fmt.Errorf("reload: cut short: %w", ctx.Err())
		}
	}
	return nil
}

func stopAll(targets []*target) {
	for _, t := range targets {
		t.stop()
	}
}
