package eip

import "sync/atomic"

// Operations and results of Stats.Operations. Both lists are closed.
var (
	OperationNames = []string{"describe", "associate", "disassociate"}
	ResultNames    = []string{"ok", "taken", "gone", "throttled", "denied", "unreachable", "error"}
)

// operation is a call of EC2; its name is in OperationNames.
type operation int

const (
	opDescribe operation = iota
	opAssociate
	opDisassociate
)

func (op operation) String() string { return OperationNames[op] }

// action is the operation's name in IAM.
func (op operation) action() string {
	return "ec2:" + [...]string{"DescribeAddresses", "AssociateAddress", "DisassociateAddress"}[op]
}

// resources are the ARNs that a permission for the operation is asked on. Listing cannot be narrowed.
func (op operation) resources(allocation, eni string) []string {
	if op == opDescribe {
		return []string{"*"}
	}
	if allocation == "" {
		allocation = "*"
	}
	return []string{"arn:aws:ec2:*:*:elastic-ip/" + allocation, "arn:aws:ec2:*:*:network-interface/" + eni}
}

// OperationCount is how often an operation of EC2 ended so.
type OperationCount struct {
	Operation, Result string
	Count             uint64
}

// Stats are counters since the Keeper was made.
type Stats struct {
	Held       bool
	Operations []OperationCount // every pair, also those that are 0
	Changes    uint64           // how often an address was gained or lost
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
