// Package handoff carries the state of a running forwarder, its live connections included, from one process to the next over an
// inherited pair of sockets. It knows descriptors and plain values only. What a connection is belongs to proxy/relay, who may
// enter to proxy; both fill in and read the values of state.go.
//
//	step   old process                        new process
//	 1                      ◄── hello ────    who it is, which versions of the state it reads
//	 2     ──── state ──►                     listening sockets, and what is known but for connections
//	 3                      ◄── ready ────    configuration loaded, all prepared, nothing accepted
//	       the loops stand still from here
//	 4     ──── batch ──►   ◄── ack ──────    connections with their descriptors, until all have passed
//	 5     ──── final ──►                     counters, which do not change any more
//	 6                      ◄── adopted ──    all of it is in place
//	 7     ──── commit ─►                     go
//	 8                      ◄── taken ────    the point of no return: the new process is about to move bytes
//
// Until the old process has read "taken" everything stays its own, and it goes on as if nothing had happened when the new
// one refuses, ends, or is silent for too long; it kills a silent one first, so that no socket ever has two readers. The new
// process owns everything once it has read "commit". If the old one dies before that, the new one has what it was handed: the
// sockets and the connections live on with it.
package handoff

import (
	"errors"
	"fmt"
	"time"
)

// Version is the version of the state that this package writes. It reads the versions from OldestRead to Version.
const (
	Version    = 1
	OldestRead = 1
)

// Kind says what a message is. The values are part of the protocol and never change.
type Kind uint8

// The messages, in the order of the protocol.
const (
	KindHello   Kind = 1
	KindState   Kind = 2
	KindReady   Kind = 3
	KindBatch   Kind = 4
	KindFinal   Kind = 5
	KindAdopted Kind = 6
	KindCommit  Kind = 7
	KindTaken   Kind = 8

	KindAck    Kind = 16 // of a batch
	KindRefuse Kind = 17 // from the new process, in place of any other: the text says why it will not take over
	KindAbort  Kind = 18 // from the old process, in place of any other: it goes on itself
)

var kindNames = map[Kind]string{
	KindHello: "hello", KindState: "state", KindReady: "ready", KindBatch: "batch", KindFinal: "final",
	KindAdopted: "adopted", KindCommit: "commit", KindTaken: "taken", KindAck: "ack", KindRefuse: "refuse", KindAbort: "abort",
}

func (k Kind) String() string {
	if s := kindNames[k]; s != "" {
		return s
	}
	return fmt.Sprintf("message %d", uint8(k))
}

// How long the steps may take. While the loops stand still the limits are short: that is what clients notice.
const (
	StartTimeout = 10 * time.Second // hello: the new process is being started
	ReadyTimeout = 30 * time.Second // ready: it loads its configuration and asks AWS which machine this is
	StillTimeout = 3 * time.Second  // each message while the loops stand still
)

// RefusedError is the new process's own reason not to take over.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return "the new process refuses: " + e.Why }

// ErrAborted is what the new process gets when the old one goes on itself.
var ErrAborted = errors.New("the old process goes on itself")

// Hello is the first message of the new process.
type Hello struct {
	Oldest int    `json:"oldest"` // versions of the state that it reads
	Newest int    `json:"newest"`
	Build  string `json:"build"` // its version, for the log
	PID    int    `json:"pid"`
}

// checkVersions returns an error if the state that is written here cannot be read there.
func (h Hello) checkVersions() error {
	if h.Oldest > Version || h.Newest < Version {
		return fmt.Errorf("the new process (%s) reads versions %d to %d of the state, this one writes version %d: "+
			"upgrade by way of a version between them, or restart with a drain", h.Build, h.Oldest, h.Newest, Version)
	}
	return nil
}
