package relay

import (
	"fmt"
	"slices"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// What a connection is as plain values. No system call is made here.

// The words of the state, by their numbers here. An unknown word is an error: a connection that is not understood must not be served.
var (
	phaseWords = []string{phasePreface: "preface", phaseDialing: "dialing", phaseRelaying: "relaying", phaseLingering: "lingering", phaseWarm: "warm"}
	halfWords  = []string{halfOpen: "open", halfFIN: "fin", halfShut: "shut", halfCut: "cut", halfDead: "dead"}
	proofWords = []string{proved: "", unproved: "unproved", disproved: "disproved"}
	eventWords = []string{eventFIN: "fin", eventReset: "reset", eventDrained: "drained", eventBroken: "broken"}
)

// wordIn returns the number of a word.
func wordIn(list []string, word, what string) (int, error) {
	if i := slices.Index(list, word); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%s %q is not known here", what, word)
}

// reasonNamed returns the reason of that name; Internal for one that is not known here.
func reasonNamed(text string) Reason {
	if i := slices.Index(reasonText[:], text); i >= 0 {
		return Reason(i)
	}
	return Internal
}

// movable reports whether a connection is exported by itself: attempts go with the connection that they are for, and those for a
// pool are made anew.
func (c *conn) movable() bool { return !c.racer && !(c.pooled && c.phase != phaseWarm) }

// shifted moves a time from one clock to another; 0 means none on both.
func shifted(t, by int64) int64 {
	if t == 0 {
		return 0
	}
	return t + by
}

// export returns the values of a connection of a loop that stands still. base is the beginning of the loop's clock.
func (l *core) export(c *conn, base int64, m Mover) *handoff.Conn {
	f := &c.flow
	v := &handoff.Conn{
		ID: f.ID, Loop: l.id, Client: f.Client, Phase: phaseWords[c.phase],
		Attempts: f.Attempts, Failure: f.Failure.String(), Preface: f.Preface, Silent: f.Silent.String(), Warm: f.Warm, Stale: f.Stale,
		Reason: c.reason.String(), Closed: c.closed.String(), Expired: c.expired.String(),
		Opened: shifted(c.opened, base), Began: shifted(c.began, base), Active: shifted(c.active, base), Expires: shifted(c.expires, base),
		Fires: shifted(l.timers.due(c.slot), base), Took: c.took,
		Late: c.late, Failed: c.failed, Proof: proofWords[c.proof], LingerUpstream: c.linger == upstream,
		Near: c.ends[client].export(), Far: c.ends[upstream].export(),
		Upload: c.halves[client].export(), Download: c.halves[upstream].export(),
	}
	if c.proof == disproved {
		v.BrokenBy = eventWords[c.deathEvent]
	}
	if c.replay != nil {
		v.Replay = slices.Clone(c.replay.bytes())
	}
	if f.Endpoint != nil {
		ep := m.SaveEndpoint(f.Endpoint)
		v.Endpoint = &ep
	}
	if owed := l.debts[c.slot]; owed != nil {
		v.Near.Owed, v.Far.Owed = owed[client].export(base), owed[upstream].export(base)
	}
	if !c.pooled {
		v.Listener = f.Listener.Name
		v.Session = m.SaveFlow(f)
		v.Beside = c.exportBeside(base, m)
	}
	return v
}

// exportBeside returns the attempts beside a connection's own.
func (c *conn) exportBeside(base int64, m Mover) (all []handoff.Attempt) {
	if c.race == nil {
		return nil
	}
	for _, a := range c.race.beside {
		all = append(all, handoff.Attempt{
			Endpoint: m.SaveEndpoint(a.flow.Endpoint), FD: int(a.ends[upstream].fd), Began: shifted(a.began, base), Expires: shifted(a.expires, base),
		})
	}
	return all
}

// export returns the end as plain values. The descriptor stays the loop's.
func (e *end) export() handoff.End {
	return handoff.End{FD: int(max(e.fd, 0)), HUP: e.hup, Reset: e.reset, Urgent: e.urgent, FIN: e.fin, Lost: e.lost}
}

// export returns the half as plain values, with the bytes that it holds and those in its pipe.
func (h *half) export() handoff.Half {
	v := handoff.Half{State: halfWords[h.state], Streak: h.streak, Splice: h.splice, Bulk: uint8(h.bulk), Bytes: h.bytes}
	if h.hold != nil {
		v.Held = h.hold.bytes() // nothing moves while it is in use, and to copy tens of MiB would take most of a pause
	}
	if h.pipe != nil && h.inPipe > 0 { // an empty one is not worth a descriptor
		v.PipeR, v.PipeW, v.PipeSize, v.Piped = int(h.pipe.r), int(h.pipe.w), int(h.pipe.size), int(h.inPipe)
	}
	return v
}

// export returns the debt with its time on the clock of all processes.
func (d *debt) export(base int64) handoff.Owed {
	return handoff.Owed{Bytes: d.bytes, Since: shifted(d.since, base), Closed: d.closed}
}

// due returns when the timer of a slot fires, in nanoseconds; 0: it is not set.
func (w *wheel) due(slot uint32) int64 {
	if int(slot) >= len(w.nodes) || w.nodes[slot].bucket == 0 {
		return 0
	}
	return int64(w.nodes[slot].at) * wheelTick
}
