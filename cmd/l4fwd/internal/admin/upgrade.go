package admin

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Upgraded is the outcome of an upgrade.
type Upgraded struct {
	Taken       bool    `json:"taken_over"`      // a new process serves; else the old one goes on
	Cause       string  `json:"cause,omitempty"` // why it goes on
	PID         int     `json:"pid,omitempty"`   // of the new process
	Version     string  `json:"version,omitempty"`
	Connections int     `json:"connections"`   // that were handed over
	Pause       float64 `json:"pause_seconds"` // how long they stood still
}

// TakenState is what a daemon that took over from another process had from it.
type TakenState struct {
	At          time.Time `json:"at"`
	PID         int       `json:"from_pid"`
	Version     string    `json:"from_version"`
	Connections int       `json:"connections"`
	Pause       float64   `json:"pause_seconds"` // how long the connections stood still
}

// upgradeTime is how long an upgrade may take: the new process has 10 s to start and 30 s to get ready.
const upgradeTime = time.Minute

// upgrade upgrades the daemon and waits: 200 if a new process serves, 422 if the upgrade failed, 409 if none was begun. In each case
// but the first this process goes on as before.
func (h handlers) upgrade(w http.ResponseWriter, _ *http.Request) {
	out, err := h.Upgrade("the admin API")
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	case !out.Taken:
		writeJSON(w, http.StatusUnprocessableEntity, out)
	default:
		writeJSON(w, http.StatusOK, out)
	}
}

// Upgrade has the daemon replaced by a process of the binary on disk, and waits for the outcome. An error says why there is none.
func (c *Client) Upgrade() (out Upgraded, err error) {
	c.http.Timeout = upgradeTime + answerTimeout
	err = c.Call(http.MethodPost, "/api/v1/upgrade", &out)
	return out, err
}

// writeTaken writes what came from another process; nothing if nothing did.
func writeTaken(out io.Writer, t *TakenState) {
	if t != nil {
		fmt.Fprintf(out, "took over from pid %d (%s) at %s: %d connections, which stood still for %s\n",
			t.PID, t.Version, t.At.Format(time.RFC3339), t.Connections, time.Duration(t.Pause*float64(time.Second)).Round(10*time.Microsecond))
	}
}
