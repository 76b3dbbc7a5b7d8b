package sim

import (
	"encoding/xml"
	"slices"
	"time"
)

type describeEndpointsResponse struct {
	XMLName xml.Name       `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeVpcEndpointConnectionsResponse"`
	Items   []endpointItem `xml:"vpcEndpointConnectionSet>item"`
}

type endpointItem struct {
	Service  string `xml:"serviceId"`
	Endpoint string `xml:"vpcEndpointId"`
	Owner    string `xml:"vpcEndpointOwner"`
	State    string `xml:"vpcEndpointState"`
	Created  string `xml:"creationTimestamp"`
}

// AddEndpoint makes a connection of somebody's VPC endpoint to an endpoint service of the account, in a state such as
// pendingAcceptance or available.
func (s *EC2) AddEndpoint(service, endpoint, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = append(s.endpoints, endpointItem{service, endpoint, "565502421330", state, time.Now().UTC().Format(time.RFC3339)})
}

// describeEndpoints is the answer to DescribeVpcEndpoints: all there are.
func (s *EC2) describeEndpoints() describeEndpointsResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return describeEndpointsResponse{Items: slices.Clone(s.endpoints)}
}
