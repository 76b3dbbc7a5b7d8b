// Package eip holds one Elastic IP address of a pool for as long as a daemon wants one: it claims a free one without ever
// taking it from somebody, verifies that it is still there, and releases it by its own association.
//
// EC2 decides who gets an address. AssociateAddress with AllowReassociation=false is a compare-and-set: it fails if the address is
// in use. A listing by DescribeAddresses may be stale, so it only proposes candidates.
package eip

import (
	"context"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Client is what this package needs of EC2; *ec2.Client is one.
type Client interface {
	DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
	AssociateAddress(context.Context, *ec2.AssociateAddressInput, ...func(*ec2.Options)) (*ec2.AssociateAddressOutput, error)
	DisassociateAddress(context.Context, *ec2.DisassociateAddressInput, ...func(*ec2.Options)) (*ec2.DisassociateAddressOutput, error)
}

// NewClient returns a client of EC2 with that configuration.
func NewClient(cfg aws.Config) Client { return ec2.NewFromConfig(cfg) }

// Address is one Elastic IP address as EC2 listed it.
type Address struct {
	Public     netip.Addr `json:"public_ip"`
	Allocation string     `json:"allocation_id"`

	Association string     `json:"association_id,omitempty"` // empty: free
	Interface   string     `json:"network_interface_id,omitempty"`
	Private     netip.Addr `json:"private_ip,omitzero"`
	Instance    string     `json:"instance_id,omitempty"` // empty also for interfaces of NAT gateways and the like

	Tags map[string]string `json:"tags,omitempty"`
}

// Free reports whether nobody held the address.
func (a Address) Free() bool { return a.Association == "" }

// Holder is the id of the instance that holds the address, else of the network interface; empty if the address is free.
func (a Address) Holder() string {
	if a.Instance != "" {
		return a.Instance
	}
	return a.Interface
}

// Hold is an address that is ours.
type Hold struct {
	Public      netip.Addr `json:"public_ip"`
	Allocation  string     `json:"allocation_id"`
	Association string     `json:"association_id"`
	Since       time.Time  `json:"since"` // when this process claimed or found it
}
