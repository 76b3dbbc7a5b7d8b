package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// What makes this instance fit for clients. Most failures of an upstream are common to all instances, so that a rule that takes
// an instance out for each of them would take out the whole fleet; an instance that serves one of several upstreams is of use.

// ListenersReady returns nil while clients are accepted.
func (s *Server) ListenersReady() error {
	if s.stopped.Load() {
		return errors.New("not accepting: the listeners are closed")
	}
	return nil
}

// UpstreamsReady returns nil while at least one upstream that a listener uses, and each that is required, has an address that is
// neither failed by its check nor ejected. An address whose first check has not ended does not count.
func (s *Server) UpstreamsReady() error {
	used := s.policy.table.Load().used()
	var faults []string
	required := false
	for _, t := range used {
		if err := t.ready(); err != nil {
			faults = append(faults, err.Error())
			required = required || t.opts.Required
		}
	}
	if required || len(faults) == len(used) {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// UpstreamNotes explains what is not well with any upstream, one line for each fault.
func (s *Server) UpstreamNotes() []string {
	var notes []string
	now := time.Now()
	for _, t := range s.targets() {
		if storm := t.counters.storm.remembered(now); storm != "" {
			notes = append(notes, fmt.Sprintf("upstream %q: %s", t.opts.Name, storm))
		}
		if err := t.ready(); err != nil {
			notes = append(notes, err.Error())
			continue
		}
		notes = append(notes, t.lookupFaults()...)
		notes = append(notes, t.notes(now)...)
	}
	return notes
}

// Admitted returns nil if the far end admits this instance, as far as checks over HTTPS are to find out. from is the public
// address that connections leave from, if it is known; with another one than at the last call all begins anew.
//
// It holds once at least one upstream of those that are to admit it, and each of them that is required, has done so. An upstream
// that is silent holds nobody back while there are others. With AdmissionStart it holds for ever from then on.
func (s *Server) Admitted(from netip.Addr) error {
	if s.egress.set(from) {
		for _, t := range s.targets() {
			t.anotherEgress()
		}
	}
	asked, others := s.policy.table.Load().admitters()
	if err := admittedBy(asked, others); err != nil {
		if !s.egress.held(false) {
			return err
		}
		strict := slices.DeleteFunc(asked, func(t *target) bool { return t.opts.Admission != AdmissionStrict })
		return admittedBy(strict, others)
	}
	s.egress.held(true)
	return nil
}

// anotherEgress begins the admission anew, and has the far end asked soon.
func (t *target) anotherEgress() {
	if t.admission != nil {
		t.admission.anew(t.server.egress.current())
		t.set.Recheck()
	}
}

// admittedBy applies the rule of Admitted to those that are to admit this instance; others says that there are others.
func admittedBy(asked []*target, others bool) error {
	var faults []string
	waits, required := false, false
	for _, t := range asked {
		ok, why := t.admits()
		if ok {
			continue
		}
		faults = append(faults, why)
		required = required || t.opts.Required
		waits = waits || t.admission.get().state == Refused || !t.silent()
	}
	switch {
	case len(faults) == 0, !required && len(faults) < len(asked), !required && !waits && others:
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// AdmissionNotes explains each refusal of this instance's public address, one line for each upstream.
func (s *Server) AdmissionNotes() []string {
	var notes []string
	for _, t := range s.targets() {
		if t.admission == nil {
			continue
		}
		if now := t.admission.get(); now.state == Refused {
			notes = append(notes, fmt.Sprintf("upstream %q refuses this instance's public address, for %s: %s",
				t.opts.Name, time.Since(now.since).Round(time.Second), now.refusal))
		}
	}
	return notes
}

// used returns the targets of upstreams that a listener uses.
func (t *table) used() []*target {
	names := make(map[string]bool)
	for _, ln := range t.opts.Listeners {
		for _, name := range ln.upstreams() {
			names[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(t.targets), func(at *target) bool { return !names[at.opts.Name] })
}

// admitters returns the upstreams in use that are to admit this instance, and whether there are others.
func (t *table) admitters() (asked []*target, others bool) {
	for _, at := range t.used() {
		if at.admission != nil {
			asked = append(asked, at)
		} else {
			others = true
		}
	}
	return asked, others
}
