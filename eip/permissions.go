package eip

import (
	"context"
	"errors"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// noAssociation is an id that no association has: the permission to end one is tested without having one.
const noAssociation = "eipassoc-00000000000000000"

// Permission is whether the caller may make a call.
type Permission struct {
	Action string // ec2:AssociateAddress
	Err    error  // nil: permitted; a *PermissionError: not permitted; else it could not be tested
}

// ErrNoAddress is why the permission to associate was not tested.
var ErrNoAddress = errors.New("the pool cannot be listed, so there is no address to test with")

// Permissions tests by calls with DryRun, which change nothing, whether the caller may do what a Keeper does with that interface
// and an address of the pool. It returns one entry for each action, and fails if the pool can be listed but has no address.
func Permissions(ctx context.Context, client Client, pool Selector, eni string, private netip.Addr) ([]Permission, error) {
	allocation := ""
	if all, err := List(ctx, client, pool); err == nil {
		allocation = all[0].Allocation
	} else if !errors.As(err, new(*PermissionError)) {
		return nil, err
	}
	var all []Permission
	for _, op := range []operation{opDescribe, opAssociate, opDisassociate} {
		p := Permission{Action: op.action(), Err: ErrNoAddress}
		if op != opAssociate || allocation != "" {
			p.Err = permitted(dryRun(ctx, client, op, allocation, eni, private), op, allocation, eni)
		}
		all = append(all, p)
	}
	return all, nil
}

// dryRun makes the call of an operation with DryRun: EC2 answers as it would, and changes nothing.
func dryRun(ctx context.Context, client Client, op operation, allocation, eni string, private netip.Addr) (err error) {
	dry := aws.Bool(true)
	switch op {
	case opDescribe:
		_, err = client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{DryRun: dry})
	case opAssociate:
		_, err = client.AssociateAddress(ctx, &ec2.AssociateAddressInput{DryRun: dry, AllocationId: &allocation, NetworkInterfaceId: &eni,
			PrivateIpAddress: aws.String(private.String()), AllowReassociation: aws.Bool(false)})
	case opDisassociate:
		_, err = client.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{DryRun: dry, AssociationId: aws.String(noAssociation)})
	}
	return err
}

// permitted returns nil if the answer to a call with DryRun says that the call is permitted.
func permitted(answer error, op operation, allocation, eni string) error {
	switch {
	case denied(answer):
		return &PermissionError{op.action(), op.resources(allocation, eni), answer}
	case answer == nil, code(answer) == "DryRunOperation", resultOf(answer) == resultGone, resultOf(answer) == resultTaken:
		return nil
	}
	return explain("ask for permission to "+op.String(), answer, op, allocation, eni)
}
