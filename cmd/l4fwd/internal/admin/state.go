// Package admin serves the operators' port, admin.address, and speaks to it: the daemon's state as JSON, as text and as a
// page, actions, and Go's profiles.
package admin

import (
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// State is the daemon's state, as /api/v1/status answers it and the verb status prints it.
type State struct {
	Build      metrics.Build     `json:"build"`
	PID        int               `json:"pid"`
	Started    time.Time         `json:"started"`
	Uptime     float64           `json:"uptime_seconds"`
	Ready      bool              `json:"ready"`
	Draining   bool              `json:"draining"`
	Drain      *DrainState       `json:"drain,omitempty"` // nil before a drain
	Conditions []ConditionState  `json:"conditions"`
	Rates      metrics.Rates     `json:"rates"`
	Sources    map[string]string `json:"listener_sources"` // by listener: SourceOpened or SourceSystemd
	Config     ConfigState       `json:"config"`
	Taken      *TakenState       `json:"took_over,omitempty"` // nil: this process took nothing over
	Proxy      proxy.Status      `json:"proxy"`

	// All nil without eip.pool.
	Instance  *instance.Identity `json:"instance,omitempty"`
	EIP       *eip.Status        `json:"eip,omitempty"`
	Lifecycle *lifecycle.Status  `json:"lifecycle,omitempty"`
}

// Where a listener's socket comes from, in the log and in the state.
const (
	SourceOpened  = "opened"
	SourceSystemd = "systemd"
)

// DrainState is the drain that runs.
type DrainState struct {
	By    string    `json:"by"` // a signal, the admin API, a lifecycle event, or failure
	Begun time.Time `json:"begun"`
	Until time.Time `json:"until"` // connections that are open then are closed; earlier if AWS takes the instance away before
}

// ConfigState is how the configuration in use came about.
type ConfigState struct {
	Loaded time.Time `json:"loaded"`
	Begun  time.Time `json:"reload_begun,omitzero"` // the reload that is under way; absent if none is
	Tried  time.Time `json:"last_reload"`           // the start, if there was no reload
	OK     bool      `json:"ok"`                    // the last reload put its configuration in place
	Faults []string  `json:"faults"`                // why it did not
	Fixed  []string  `json:"needs_restart"`         // keys with a new value that a reload cannot put in place
}

// ConditionState is one condition of the readiness.
type ConditionState struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why it does not hold
}
