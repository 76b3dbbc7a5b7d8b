package eip

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// EndpointClient is what EndpointConnections needs of EC2; *ec2.Client is one.
type EndpointClient interface {
	DescribeVpcEndpointConnections(context.Context, *ec2.DescribeVpcEndpointConnectionsInput, ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointConnectionsOutput, error)
}

// NewEndpointClient returns a client of EC2 with that configuration.
func NewEndpointClient(cfg aws.Config) EndpointClient { return ec2.NewFromConfig(cfg) }

// EndpointConnection is a VPC endpoint of somebody that wants to use, or uses, an endpoint service of this account.
type EndpointConnection struct {
	Service  string // vpce-svc-…
	Endpoint string // vpce-…
	Owner    string // the account of the endpoint
	State    string // pendingAcceptance, available, rejected, …
	Since    time.Time
}

// Pending reports whether the connection waits for somebody to accept it.
func (c EndpointConnection) Pending() bool { return c.State == "pendingAcceptance" }

// EndpointConnections lists the connections to the endpoint services of this account and region, of one page. A missing
// permission is a *PermissionError.
func EndpointConnections(ctx context.Context, client EndpointClient) ([]EndpointConnection, error) {
	out, err := client.DescribeVpcEndpointConnections(ctx, &ec2.DescribeVpcEndpointConnectionsInput{}, once)
	if err != nil {
		if denied(err) {
			return nil, &PermissionError{"ec2:DescribeVpcEndpointConnections", []string{"*"}, err}
		}
		return nil, fmt.Errorf("list the connections of endpoints: %s", brief(err))
	}
	var all []EndpointConnection
	for _, c := range out.VpcEndpointConnections {
		all = append(all, EndpointConnection{
			Service: aws.ToString(c.ServiceId), Endpoint: aws.ToString(c.VpcEndpointId), Owner: aws.ToString(c.VpcEndpointOwner),
			State: string(c.VpcEndpointState), Since: aws.ToTime(c.CreationTimestamp),
		})
	}
	return all, nil
}
