package relay

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Each state meets each event, written out a second time so that a slip in the table does not pass for intent.
func TestHalfTransitions(t *testing.T) {
	type row struct {
		from halfState
		on   halfEvent
		to   halfState
	}
	for _, r := range []row{
		{halfOpen, eventFIN, halfFIN}, {halfOpen, eventReset, halfCut}, {halfOpen, eventDrained, halfOpen}, {halfOpen, eventBroken, halfDead},
		{halfFIN, eventFIN, halfFIN}, {halfFIN, eventReset, halfFIN}, {halfFIN, eventDrained, halfShut}, {halfFIN, eventBroken, halfDead},
		{halfShut, eventFIN, halfShut}, {halfShut, eventReset, halfShut}, {halfShut, eventDrained, halfShut}, {halfShut, eventBroken, halfShut},
		{halfCut, eventFIN, halfCut}, {halfCut, eventReset, halfCut}, {halfCut, eventDrained, halfCut}, {halfCut, eventBroken, halfDead},
		{halfDead, eventFIN, halfDead}, {halfDead, eventReset, halfDead}, {halfDead, eventDrained, halfDead}, {halfDead, eventBroken, halfDead},
	} {
		assert.Equal(t, r.to, halfNext[r.from][r.on], "state %d on event %d", r.from, r.on)
	}
}

// Every pair of states, with and without bytes held: what the connection comes to.
func TestEndings(t *testing.T) {
	name := [halfStates]string{"open", "fin", "shut", "cut", "dead"}
	want := map[string]ending{ // "up down", a plus sign: bytes are held. What is not listed goes on.
		"shut shut": endClose,
		"dead dead": endClose,
		"cut cut":   endClose,

		"open cut": endResetClient, "fin cut": endResetClient, "fin+ cut": endResetClient, "shut cut": endResetClient,
		"dead cut": endResetClient, "cut+ cut": endClose, "dead shut": endResetClient,

		"cut open": endResetUpstream, "cut fin": endResetUpstream, "cut fin+": endResetUpstream, "cut shut": endResetUpstream,
		"cut dead": endResetUpstream, "cut cut+": endResetUpstream, "shut dead": endResetUpstream,
	}
	for u := range halfStates {
		for d := range halfStates {
			for _, held := range [][2]bool{{}, {true, false}, {false, true}, {true, true}} {
				plus := func(s halfState, held bool) string {
					if held && (s == halfFIN || s == halfCut) { // the only states in which it matters
						return name[s] + "+"
					}
					return name[s]
				}
				if u == halfShut && held[0] || d == halfShut && held[1] {
					continue // cannot be: shut means delivered
				}
				key := fmt.Sprintf("%s %s", plus(u, held[0]), plus(d, held[1]))
				assert.Equal(t, want[key], endingOf(u, d, held[0], held[1]), key)
			}
		}
	}
}

// A reset leaves nobody to deliver to, and the first cause is the one that is reported.
func TestResetSpreads(t *testing.T) {
	var c conn
	c.happen(client, eventReset)
	assert.Equal(t, halfCut, c.halves[client].state)
	assert.Equal(t, halfDead, c.halves[upstream].state)
	assert.Equal(t, ClientReset, c.reason)
	assert.Equal(t, endResetUpstream, c.ending())

	c = conn{}
	c.happen(client, eventFIN)
	c.happen(client, eventDrained)
	c.happen(upstream, eventReset)
	assert.Equal(t, halfShut, c.halves[client].state, "what was delivered stays delivered")
	assert.Equal(t, UpstreamReset, c.reason, "it cut its answer short")
	assert.Equal(t, endResetClient, c.ending())

	c = conn{}
	c.happen(upstream, eventFIN)
	c.happen(upstream, eventDrained)
	c.happen(client, eventReset)
	assert.Equal(t, UpstreamClosed, c.reason, "a client that resets what its upstream closed is no fault")
	assert.Equal(t, endResetUpstream, c.ending())
}

// A destination that takes nothing more was reset, and what it sent before is still to be read.
func TestBrokenDestinationIsReadToItsEnd(t *testing.T) {
	var c conn
	c.happen(client, eventBroken)
	assert.Equal(t, halfDead, c.halves[client].state)
	assert.Equal(t, halfOpen, c.halves[upstream].state)
	assert.True(t, c.ends[upstream].rd && c.ends[upstream].hup && c.ends[upstream].reset)
	assert.Equal(t, UpstreamReset, c.reason)
	assert.Equal(t, endNot, c.ending())
	c.happen(upstream, eventReset)
	assert.Equal(t, endResetClient, c.ending())
}

// An upstream that ended in order and resets only what still comes after has not cut anything short: its FIN counts.
func TestBrokenDestinationThatHadEnded(t *testing.T) {
	var c conn
	c.ends[upstream].fin = true // a write said EPIPE
	c.happen(client, eventBroken)
	assert.Equal(t, UpstreamClosed, c.reason)
	assert.False(t, c.ends[upstream].reset, "the end of what it sent is to be read as a FIN")
	assert.True(t, c.ends[upstream].rd)
	c.happen(upstream, eventFIN)
	assert.Equal(t, endNot, c.ending())
	c.happen(upstream, eventDrained)
	assert.Equal(t, endResetClient, c.ending(), "what the client sent was lost")
}

func TestReasonsAreClosedAndNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		assert.NotEmpty(t, r.String())
		assert.False(t, seen[r.String()], r.String())
		seen[r.String()] = true
	}
	assert.Len(t, seen, NumReasons-1)
	assert.Equal(t, "internal", Reason(200).String())
}
