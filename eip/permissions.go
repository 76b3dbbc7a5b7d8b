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

// CheckPermissions tests by calls with DryRun, which change nothing, whether the caller may do what a Keeper does with that interface
// and an address of the pool. It returns a *PermissionError for each action that is not permitted. A non-nil err means that
// some actions could not be tested; missing holds the others' results all the same.
func CheckPermissions(ctx context.Context, client Client, pool Selector, eni string, private netip.Addr) (missing []*PermissionError, err error) {
	allocation := ""
	if all, listErr := List(ctx, client, pool); listErr == nil {
		allocation = all[0].Allocation
	} else if !errors.As(listErr, new(*PermissionError)) {
		return nil, listErr
	}
	dry := aws.Bool(true)
	asks := []struct {
		op  operation
		ask func() error
	}{
		{opDescribe, func() error {
			_, err := client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{DryRun: dry})
			return err
		}},
		{opAssociate, func() error {
			_, err := client.AssociateAddress(ctx, &ec2.AssociateAddressInput{DryRun: dry, AllocationId: &allocation, NetworkInterfaceId: &eni,
				PrivateIpAddress: aws.String(private.String()), AllowReassociation: aws.Bool(false)})
			return err
		}},
		{opDisassociate, func() error {
			_, err := client.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{DryRun: dry, AssociationId: aws.String(noAssociation)})
			return err
		}},
	}
	for _, a := range asks {
		if a.op == opAssociate && allocation == "" {
			continue // without a listing there is no address to test with
		}
		answer := a.ask()
		switch {
		case code(answer) == "UnauthorizedOperation" || code(answer) == "AccessDenied":
			missing = append(missing, &PermissionError{a.op.action(), a.op.resources(allocation, eni), answer})
		case answer == nil, code(answer) == "DryRunOperation", resultOf(answer) == resultGone, resultOf(answer) == resultTaken:
		default:
			err = errors.Join(err, explain("ask for permission to "+a.op.String(), answer, a.op, allocation, eni))
		}
	}
	return missing, err
}
