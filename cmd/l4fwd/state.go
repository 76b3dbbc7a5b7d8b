package main

import (
	"os"
	"time"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// State is what /api/v1/status answers and what status shows.
type State struct {
	Build      build             `json:"build"`
	PID        int               `json:"pid"`
	Started    time.Time         `json:"started"`
	Uptime     float64           `json:"uptime_seconds"`
	Ready      bool              `json:"ready"`
	Draining   bool              `json:"draining"`
	Conditions []ConditionState  `json:"conditions"`
	Rates      Rates             `json:"rates"`
	Sources    map[string]string `json:"listener_sources"` // by listener: opened, or systemd, which passed the socket
	Proxy      proxy.Status      `json:"proxy"`

	// Without eip.pool there is none of these.
	Instance  *instance.Identity `json:"instance,omitempty"`
	EIP       *eip.Status        `json:"eip,omitempty"`
	Lifecycle *lifecycle.Status  `json:"lifecycle,omitempty"`
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
		Rates:    d.rates.rates(d.fwd.Stats()),
		Proxy:    d.fwd.Status(),
		Sources:  map[string]string{},
	}
	for _, in := range d.cfg.Listeners {
		s.Sources[in.Name] = sourceOf(d.sources, in.Name)
	}
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
