package main

import (
	"os"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// State is what /api/v1/status answers and what status shows.
type State struct {
	Build      metrics.Build     `json:"build"`
	PID        int               `json:"pid"`
	Started    time.Time         `json:"started"`
	Uptime     float64           `json:"uptime_seconds"`
	Ready      bool              `json:"ready"`
	Draining   bool              `json:"draining"`
	Drain      *DrainState       `json:"drain,omitempty"` // nil before one
	Conditions []ConditionState  `json:"conditions"`
	Rates      metrics.Rates     `json:"rates"`
	Sources    map[string]string `json:"listener_sources"` // by listener: opened, or systemd, which passed the socket
	Config     ConfigState       `json:"config"`
	Proxy      proxy.Status      `json:"proxy"`

	// Without eip.pool there is none of these.
	Instance  *instance.Identity `json:"instance,omitempty"`
	EIP       *eip.Status        `json:"eip,omitempty"`
	Lifecycle *lifecycle.Status  `json:"lifecycle,omitempty"`
}

// DrainState is the drain that runs.
type DrainState struct {
	By    string    `json:"by"` // a signal, the admin API, a lifecycle event, or failure
	Begun time.Time `json:"begun"`
	Until time.Time `json:"until"` // what is open then is closed; earlier where AWS takes the instance away before
}

// ConfigState is how the configuration in use came about.
type ConfigState struct {
	Loaded time.Time `json:"loaded"`
	Tried  time.Time `json:"last_reload"`   // the start, if there was none
	OK     bool      `json:"ok"`            // the last reload put its configuration in place
	Faults []string  `json:"faults"`        // why not
	Fixed  []string  `json:"needs_restart"` // keys with a new value that a reload cannot put in place
}

func (s reloadState) state() ConfigState {
	return ConfigState{
		Loaded: s.at.UTC().Truncate(time.Second), Tried: s.tried.UTC().Truncate(time.Second),
		OK: len(s.faults) == 0, Faults: append([]string{}, s.faults...), Fixed: append([]string{}, s.fixed...),
	}
}

// ConditionState is one condition of the readiness.
type ConditionState struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why it does not hold
}

// state is the daemon's state as of now.
func (d *daemon) state() State {
	s := State{
		Build: d.build, PID: os.Getpid(), Started: d.started.UTC().Truncate(time.Second),
		Uptime:   float64(time.Since(d.started).Milliseconds()) / 1000,
		Ready:    true,
		Draining: d.draining.Load(),
		Drain:    d.drainState.Load(),
		Rates:    d.rates.Rates(d.fwd.Stats()),
		Proxy:    d.fwd.Status(),
		Config:   d.lastReload().state(),
		Sources:  map[string]string{},
	}
	d.mu.Lock()
	for _, in := range d.settings().Listeners {
		s.Sources[in.Name] = sourceOf(d.sources, in.Name)
	}
	d.mu.Unlock()
	s.Proxy.Draining = s.Draining // a drain begins before the listeners close
	d.cloud.tell(&s)
	if d.nowhere != nil {
		s.EIP = &eip.Status{Wanted: true, Reason: d.nowhere.Error()}
	}
	for _, c := range d.health.Conditions() {
		s.Conditions = append(s.Conditions, ConditionState{c.Name, c.Err == nil, c.Reason()})
		s.Ready = s.Ready && c.Err == nil
	}
	return s
}
