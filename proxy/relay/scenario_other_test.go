//go:build !linux

package relay

var linuxScenarios []scenario

// On systems without event loops fairness is the scheduler's care.
const maxTurn = 0

func (r *rig) onlyLoop() any { return nil }

func busiestTurn(*rig, any) int { return 0 }
