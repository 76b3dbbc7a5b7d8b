package eip

import "sync/atomic"

// Operations and results of Stats.Operations. Both lists are closed.
var (
	OperationNames = []string{"describe", "associate", "disassociate"}
	ResultNames    = []string{"ok", "taken", "gone", "throttled", "denied", "unreachable", "error"}
)

// OperationCount is how often an operation ended with a result.
type OperationCount struct {
	Operation string `json:"operation"`
	Result    string `json:"result"`
	Count     uint64 `json:"count"`
}

// Stats are counters since the Keeper was made.
type Stats struct {
	Held       bool
	Operations []OperationCount // every pair, those with count 0 too
	Changes    uint64           // how often an address was claimed, found, lost or released
}

type stats struct {
	operations [3][7]atomic.Uint64
	changes    atomic.Uint64
}

// Stats returns the counters. It does not block.
func (k *Keeper) Stats() Stats {
	s := Stats{Changes: k.stats.changes.Load()}
	_, s.Held = k.Held()
	for op := range k.stats.operations {
		for r := range k.stats.operations[op] {
			s.Operations = append(s.Operations, OperationCount{OperationNames[op], ResultNames[r], k.stats.operations[op][r].Load()})
		}
	}
	return s
}
