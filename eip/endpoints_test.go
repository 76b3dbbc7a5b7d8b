package eip

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// Databricks waits until somebody accepts its endpoint: that shows nowhere else than here.
func TestEndpointConnections(t *testing.T) {
	r := newRegion(t, 1, 1, sim.EC2Options{})
	r.AddEndpoint("vpce-svc-1", "vpce-1", "pendingAcceptance")
	r.AddEndpoint("vpce-svc-1", "vpce-2", "available")
	client := NewEndpointClient(testConfig(r.Transport()))
	all, err := EndpointConnections(t.Context(), client)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "vpce-svc-1", all[0].Service)
	require.Equal(t, "vpce-1", all[0].Endpoint)
	require.NotEmpty(t, all[0].Owner)
	require.False(t, all[0].Since.IsZero())
	require.True(t, all[0].Pending())
	require.False(t, all[1].Pending())

	r.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{"DescribeVpcEndpointConnections": true} })
	_, err = EndpointConnections(t.Context(), client)
	var denied *PermissionError
	require.ErrorAs(t, err, &denied)
	require.Equal(t, "ec2:DescribeVpcEndpointConnections", denied.Action)
	r.Configure(func(o *sim.EC2Options) { o.Denied, o.Fault = nil, func(sim.Call) sim.Fault { return sim.Throttle } })
	_, err = EndpointConnections(t.Context(), client)
	require.ErrorContains(t, err, "RequestLimitExceeded")
}
