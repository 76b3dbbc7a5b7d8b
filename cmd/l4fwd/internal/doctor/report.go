package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// State is how a step went. The list is closed.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // worth knowing; the path works
	Failed  State = "failed"
	Skipped State = "skipped" // Because says why
)

// Step is one thing that was tested.
type Step struct {
	Kind     Kind     `json:"kind"`
	Target   string   `json:"target,omitempty"`  // HOST:PORT that it is about
	Subject  string   `json:"subject,omitempty"` // the address, resolver, listener or action
	State    State    `json:"state"`
	Took     float64  `json:"took_ms"`
	Evidence string   `json:"evidence"`           // what was seen, on one line
	Fault    string   `json:"fault,omitempty"`    // of a failed step: place and cause, as the verdict has them
	Meaning  string   `json:"meaning,omitempty"`  // of a failure or a warning, for people
	Commands []string `json:"commands,omitempty"` // that mend it
	Because  string   `json:"because,omitempty"`  // of a skipped step
}

// Report is what a diagnosis found.
type Report struct {
	Format  int       `json:"format"`  // of this JSON: 1. Fields may be added without a new number
	Verdict string    `json:"verdict"` // one line
	OK      bool      `json:"ok"`      // no step failed
	Version string    `json:"l4fwd"`
	Begun   time.Time `json:"begun"`
	Took    float64   `json:"took_ms"`
	Steps   []Step    `json:"steps"`

	Configuration string `json:"configuration,omitempty"` // which one it is about, if it is not the one asked for
}

// statusCommand shows the daemon's state if it is the only one of this machine, with the address by default.
const statusCommand = "l4fwd status"

// upgradeCommand replaces the process of that daemon.
const upgradeCommand = "l4fwd upgrade"

// findBy gives the commands that ask the daemon the flags that find it: those of status, the command that shows its state.
func (s *Step) findBy(status string) {
	flags := strings.TrimPrefix(status, statusCommand)
	for i, c := range s.Commands {
		if c == statusCommand || c == upgradeCommand {
			s.Commands[i] = c + flags
		}
	}
}

// WriteJSON writes the report for programs.
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// conclude sets the verdict that follows from the steps.
func (r *Report) conclude() {
	cause, failed := r.cause()
	r.OK = failed == 0
	switch warned := r.count(Warning); {
	case failed > 1:
		r.Verdict = fmt.Sprintf("broken at: %s (%s failed)", cause.Fault, plain.Counted(failed-1, "more step"))
	case failed == 1:
		r.Verdict = "broken at: " + cause.Fault
	case warned > 0:
		r.Verdict = fmt.Sprintf("no fault found, %s (%s): %s passed, %d skipped", plain.Counted(warned, "warning"), r.warnings(), plain.Counted(r.count(OK), "step"), r.count(Skipped))
	default:
		r.Verdict = fmt.Sprintf("no fault found: %s passed, %d skipped", plain.Counted(r.count(OK), "step"), r.count(Skipped))
	}
}

// warnings are the kinds of the steps with a warning, each once.
func (r *Report) warnings() string {
	var kinds []string
	for _, s := range r.Steps {
		if kind := s.Kind.words(); s.State == Warning && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ", ")
}

// words are the kind for people.
func (k Kind) words() string { return strings.ReplaceAll(string(k), "_", " ") }

// cause returns the failed step from which the others follow, and how many failed.
func (r *Report) cause() (first Step, failed int) {
	rank := len(causes) + 1
	for _, s := range r.Steps {
		if s.State != Failed {
			continue
		}
		failed++
		if at := slices.Index(causes, s.Kind); at < rank {
			first, rank = s, at
		}
	}
	return first, failed
}

// count returns how many steps are in a state.
func (r *Report) count(state State) (n int) {
	for _, s := range r.Steps {
		if s.State == state {
			n++
		}
	}
	return n
}
