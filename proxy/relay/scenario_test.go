package relay

import (
	"net/netip"
	"slices"
	"testing"
)

// scenario is one story of a connection, told to every engine. It states what each peer sees and what the summary says.
type scenario struct {
	name  string
	story string
	v6    bool // over IPv6, too
	run   func(r *rig)
}

// TestScenarios runs the table on every engine: go test -run 'TestScenarios/epoll/half-close'.
func TestScenarios(t *testing.T) {
	table := scenarios()
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			if apart(t) {
				return
			}
			runTable(t, table, engine, nil)
		})
	}
}

// scenarios is the whole table.
func scenarios() []scenario {
	return slices.Concat(basicScenarios, closeScenarios, resetScenarios, dialScenarios, raceScenarios, instantScenarios,
		admitScenarios, prefaceScenarios, headerScenarios, timeoutScenarios, lifeScenarios, changeScenarios, liveScenarios, slowScenarios, warmScenarios, operatorScenarios, linuxScenarios)
}

// runTable tells the stories of a table to an engine. during: see rig.
func runTable(t *testing.T, table []scenario, engine string, during func(*rig) func()) {
	for _, s := range table {
		t.Run(s.name, func(t *testing.T) { runScenario(t, s, engine, loopback4, during) })
		if s.v6 {
			t.Run(s.name+"_v6", func(t *testing.T) { runScenario(t, s, engine, loopback6, during) })
		}
	}
}

func runScenario(t *testing.T, s scenario, engine string, at netip.Addr, during func(*rig) func()) {
	r := newRig(t, engine, at)
	r.during = during
	defer func() {
		if t.Failed() {
			t.Logf("the story: %s", s.story)
		}
	}()
	s.run(r)
}
