package proxy

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// admission is what the far end says of the address that this instance leaves from: Azure's firewall refuses one that it does
// not list with an HTTP 403 inside TLS, which only a request can see.
//
//	unknown ──► admitted ◄──► refused        another address (egress): unknown
type admission struct {
	mu       sync.Mutex
	now      answers
	throttle throttle
}

// answers is what the far end said of one public address.
type answers struct {
	egress  int // the number of the address
	state   AdmissionState
	once    bool   // admitted once
	refusal string // the server's words, of the last refusal
	since   time.Time
}

// AdmissionState is what the far end said last.
type AdmissionState string

// The states.
const (
	AdmissionUnknown AdmissionState = "unknown" // it has not answered yet
	Admitted         AdmissionState = "admitted"
	Refused          AdmissionState = "refused"
)

// AdmissionStatus is an upstream's admission, as status shows it.
type AdmissionStatus struct {
	Mode   string         `json:"mode"` // start or strict
	State  AdmissionState `json:"state"`
	Detail string         `json:"detail,omitempty"` // the server's words, of a refusal
	Since  time.Time      `json:"since,omitzero"`
}

// newAdmission knows nothing yet of the address with that number.
func newAdmission(egress int) *admission {
	return &admission{now: answers{egress: egress, state: AdmissionUnknown}}
}

// get returns what is known now.
func (a *admission) get() answers {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// answered takes an answer to a check that began while the address of that number was in use. It returns the states before
// and after, and whether the change is to be logged.
func (a *admission) answered(egress int, refusal string) (was, is AdmissionState, logged bool) {
	at := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case egress < a.now.egress:
		return a.now.state, a.now.state, false // of an address that is no longer in use
	case egress > a.now.egress:
		a.now = answers{egress: egress, state: AdmissionUnknown}
	}
	was, is = a.now.state, Admitted
	if refusal != "" {
		is = Refused
	}
	if was != is {
		a.now.since = at
		logged = is == Admitted || a.throttle.due(at)
	}
	if logged && is == Refused {
		a.throttle.logged(at)
	}
	a.now.state, a.now.refusal, a.now.once = is, refusal, a.now.once || is == Admitted
	return was, is, logged
}

// judgeAnswer takes an answer to a check, and logs a change from where a log may be slow.
func (t *target) judgeAnswer(egress int, refusal string) {
	if was, is, logged := t.admission.answered(egress, refusal); logged {
		t.server.policy.access.event(func() { t.logAdmission(was, is, refusal) })
	}
}

// logAdmission logs a change of state.
func (t *target) logAdmission(was, state AdmissionState, refusal string) {
	name := zap.String("upstream", t.opts.Name)
	switch {
	case state == Refused:
		t.log.Error("the upstream refuses this instance's public address: its clients get 403. Add the address to the network rules "+
			"of the resource; l4fwd doctor writes the command, l4fwd eip list --format azure-cli those for a whole pool", name, zap.String("answer", refusal))
	case was == Refused:
		t.log.Info("the upstream admits this instance's public address again", name)
	default:
		t.log.Info("the upstream admits this instance's public address", name)
	}
}

// anew forgets what was said: another address is in use.
func (a *admission) anew(egress int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = answers{egress: egress, state: AdmissionUnknown}
}

// inherit takes over what an older target of the same host knows, unless there was an answer since.
func (a *admission) inherit(from answers) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now.state == AdmissionUnknown && a.now.egress == from.egress {
		a.now = from
	}
}

// admissionStatus returns nil if nobody asks whether the upstream admits this instance.
func (t *target) admissionStatus() *AdmissionStatus {
	if t.admission == nil {
		return nil
	}
	now := t.admission.get()
	return &AdmissionStatus{Mode: t.opts.Admission.String(), State: now.state, Since: now.since, Detail: now.refusal}
}

// admits reports whether the far end admits this instance: once is enough with AdmissionStart. why is the reason if not.
func (t *target) admits() (ok bool, why string) {
	switch now := t.admission.get(); {
	case now.state == Admitted, now.once && t.opts.Admission == AdmissionStart:
		return true, ""
	case now.state == Refused:
		return false, fmt.Sprintf("upstream %q refuses this instance's public address: %s", t.opts.Name, now.refusal)
	}
	return false, fmt.Sprintf("upstream %q has not answered a check over HTTPS yet", t.opts.Name)
}

// silent reports whether nothing is to be expected of the upstream for now: its name has no address, or each failed its check.
func (t *target) silent() bool {
	if len(t.set.Addresses()) == 0 {
		return len(t.lookupFaults()) > 0
	}
	return t.set.AllProven() && !t.set.AnyUsable(time.Now())
}
