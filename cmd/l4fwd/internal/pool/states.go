package pool

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// Entry is an address of the pool with the lifecycle state of the instance that holds it.
type Entry struct {
	eip.Address
	State string `json:"lifecycle_state,omitempty"` // empty: free, held by no instance of a group, or not known
}

// Entries is the pool without asking Auto Scaling.
func Entries(all []eip.Address) []Entry {
	list := make([]Entry, len(all))
	for i, a := range all {
		list[i].Address = a
	}
	return list
}

// EntriesWithStates asks Auto Scaling for the states of the instances that hold addresses. If it does not answer, the states are missing,
// and a line on errs says why: the list is of use without them.
func EntriesWithStates(ctx context.Context, errs io.Writer, client lifecycle.Client, all []eip.Address) []Entry {
	list := Entries(all)
	var holders []string
	for _, a := range list {
		if a.Instance != "" && !slices.Contains(holders, a.Instance) {
			holders = append(holders, a.Instance)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	states, err := lifecycle.InstanceStates(ctx, client, holders)
	if err != nil {
		fmt.Fprintf(errs, "l4fwd: the holders' states are not known: %s\n", err)
	}
	for i := range list {
		list[i].State = states[list[i].Instance]
	}
	return list
}

// writeRetained says what to do about each address that a retained instance keeps.
func writeRetained(w io.Writer, all []Entry) error {
	for _, a := range all {
		if !lifecycle.IsRetained(a.State) {
			continue
		}
		_, err := fmt.Fprintf(w, "\n%s is held by %s, which Auto Scaling retains after an abandoned termination hook: it is out of service.\n"+
			"  free the address:   l4fwd eip release --interface %s --private-ip %s, with the same pool\n"+
			"  end the instance:   aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id %s\n",
			a.Public, a.Instance, a.Interface, a.Private, a.Instance)
		if err != nil {
			return err
		}
	}
	return nil
}
