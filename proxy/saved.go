package proxy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/proxy/resolve"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// saved is what a forwarder knows beside its connections and counters, on its way to the next process: JSON. A field may be
// added, and never changes its meaning.
type saved struct {
	Version   int                         `json:"version"`
	Names     []resolve.Saved             `json:"names,omitempty"`
	Upstreams map[string][]upstream.Saved `json:"upstreams"`
	Admitted  map[string]savedAdmission   `json:"admitted,omitempty"` // by upstream
	Egress    netip.Addr                  `json:"egress,omitzero"`    // the address that the instance leaves from
	Once      bool                        `json:"once,omitempty"`     // Admitted held once with it
	Taken     time.Duration               `json:"taken,omitempty"`    // what is taken of limits.accept_rate: how long it takes to come back
}

const savedVersion = 1

// savedAdmission is what the far end said of the address that the instance leaves from.
type savedAdmission struct {
	State   AdmissionState `json:"state"`
	Once    bool           `json:"once,omitempty"`
	Refusal string         `json:"refusal,omitempty"`
	Since   time.Time      `json:"since,omitzero"`
}

// Save returns what the next process can use of what is known: DNS answers, the standing of addresses, admissions, the rate.
func (s *Server) Save() (json.RawMessage, error) {
	v := saved{
		Version: savedVersion, Names: s.resolver.Save(), Upstreams: map[string][]upstream.Saved{}, Admitted: map[string]savedAdmission{},
		Taken: s.policy.limits.Taken(),
	}
	s.egress.save(&v)
	for _, t := range s.targets() {
		v.Upstreams[t.opts.Name] = t.set.Save()
		if t.admission != nil {
			a := t.admission.get()
			v.Admitted[t.opts.Name] = savedAdmission{a.state, a.once, a.refusal, a.since}
		}
	}
	return json.Marshal(v)
}

// readSaved reads what Save wrote; nothing of it is needed, so that nil is as good as an older version's. jump is by how much the clock
// was set since.
func readSaved(b json.RawMessage, jump time.Duration) (v saved, err error) {
	if b == nil {
		return v, nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("read what is known of names and addresses: %w", err)
	}
	if v.Version != savedVersion {
		return saved{}, nil
	}
	if jump != 0 {
		v.move(jump)
	}
	return v, nil
}

// move moves all times by d.
func (v *saved) move(d time.Duration) {
	for i := range v.Names {
		v.Names[i].Answered = v.Names[i].Answered.Add(d)
	}
	for _, all := range v.Upstreams {
		for i := range all {
			all[i] = all[i].Move(d)
		}
	}
	for name, a := range v.Admitted {
		if !a.Since.IsZero() {
			a.Since = a.Since.Add(d)
			v.Admitted[name] = a
		}
	}
}

// save adds the egress address to what the next process is told.
func (e *egress) save(v *saved) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v.Egress, v.Once = e.addr, e.once
}

// recall takes what the process before has saved.
func (e *egress) recall(v saved) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addr, e.once = v.Egress, v.Once
}

// recall gives a target's admission what the process before knew. The address that the instance leaves from is the same.
func (a *admission) recall(v savedAdmission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now.state, a.now.once, a.now.refusal, a.now.since = v.State, v.Once, v.Refusal, v.Since
}
