package eip

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// moto starts moto_server and returns a client of its EC2, and the transport to close.
func moto(t *testing.T) *ec2.Client {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed: pip install 'moto[server]'")
	}
	addr := testport.Free(t)
	_, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
	})
	transport := &http.Transport{DisableKeepAlives: true}
	cfg := testConfig(transport)
	cfg.BaseEndpoint = aws.String("http://" + addr)
	client := ec2.NewFromConfig(cfg)
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if _, err := client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{}, once); err == nil {
			return client
		} else if time.Since(start) > 60*time.Second {
			require.NoError(t, err, "moto_server does not answer")
		}
	}
}

// TestAgainstMoto is a second opinion on what goes over the wire, by a simulation that we did not write.
func TestAgainstMoto(t *testing.T) {
	client := moto(t)
	ctx := t.Context()
	vpc, err := client.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	subnet, err := client.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24")})
	require.NoError(t, err)
	for range 2 {
		_, err := client.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeElasticIp, Tags: []types.Tag{{Key: aws.String(poolTag), Value: aws.String("aoai")}},
		}}})
		require.NoError(t, err)
	}
	pool := selector(t, "tag:"+poolTag+"=aoai")
	var keepers []*Keeper
	for range 2 {
		i, err := client.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet.Subnet.SubnetId})
		require.NoError(t, err)
		k, stop := run(t, Options{Client: client, Selector: pool, Required: true,
			Interface: *i.NetworkInterface.NetworkInterfaceId, PrivateIP: netip.MustParseAddr(*i.NetworkInterface.PrivateIpAddress)})
		defer stop()
		keepers = append(keepers, k)
	}
	until(t, 30*time.Second, func() bool { return keepers[0].Check() == nil && keepers[1].Check() == nil })
	all, err := List(ctx, client, pool)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, k := range keepers {
		hold, _ := k.Held()
		for _, a := range all {
			if a.Allocation == hold.Allocation {
				require.Equal(t, k.o.Interface, a.Interface)
				require.Equal(t, hold.Association, a.Association)
			}
		}
		require.NoError(t, k.Release(ctx))
	}
	all, err = List(ctx, client, pool)
	require.NoError(t, err)
	require.True(t, all[0].Free() && all[1].Free())
}
