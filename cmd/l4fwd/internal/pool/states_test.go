package pool

import (
	"bytes"
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

type anonymous struct{}

func (anonymous) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
}

// The state is the holder's. A free address has none, nor has one whose holder is in no group, and without an answer the list is there
// all the same, with the reason beside it.
func TestTheStatesAreTheHolders(t *testing.T) {
	asg := sim.NewAutoScaling()
	asg.Group("aoai")
	asg.Launch("aoai", "i-2", sim.NewMetadata(sim.Machine{Instance: "i-2"}))
	client := lifecycle.NewClient(aws.Config{Region: "eu-west-1", HTTPClient: sim.InProcess{Handler: asg}, Credentials: anonymous{}, RetryMaxAttempts: 1})
	var all []eip.Address
	for _, e := range sample() {
		all = append(all, e.Address)
	}
	var said bytes.Buffer
	states := func(list []Entry) (states []string) {
		for i, e := range list {
			require.Equal(t, all[i], e.Address)
			states = append(states, e.State)
		}
		return states
	}
	require.Equal(t, []string{"", "InService", ""}, states(EntriesWithStates(t.Context(), &said, client, all)))
	require.Empty(t, said.String())

	asg.Deny("DescribeAutoScalingInstances")
	require.Equal(t, []string{"", "", ""}, states(EntriesWithStates(t.Context(), &said, client, all)))
	require.Contains(t, said.String(), "l4fwd: the holders' states are not known: ")
	require.Contains(t, said.String(), "autoscaling:DescribeAutoScalingInstances")
	require.Equal(t, []string{"", "", ""}, states(Entries(all)))
}
