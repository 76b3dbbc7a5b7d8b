package eip

import (
	"context"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/l4fwd/l4fwd/eip/answer"
)

// How long one call may take. EC2 answers within a second; an association may take a few. A release may have no more than
// 10 s, in which a call without an answer must leave time for another one.
const (
	callTimeout        = 10 * time.Second
	releaseCallTimeout = 4 * time.Second
)

// once turns off the SDK's own retries: each attempt must be seen here, since a repeated association may meet its own
// first effect, and many daemons that repeat at once only empty the account's token bucket.
func once(o *ec2.Options) {
	o.Retryer = aws.NopRetryer{}
	o.APIOptions = append(o.APIOptions, answer.Service{Name: "EC2"}.Genuine)
}

// call makes one bounded call and counts how it ended.
func (k *Keeper) call(ctx context.Context, op operation, do func(context.Context) error) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	err := do(ctx)
	r := resultOf(err)
	k.stats.operations[op][r].Add(1)
	return r, err
}

// describe lists the addresses that pass the filters, or all of the account in the region.
func (k *Keeper) describe(ctx context.Context, filters ...types.Filter) (all []Address, r result, err error) {
	r, err = k.call(ctx, opDescribe, func(ctx context.Context) error {
		out, err := k.o.Client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: filters}, once)
		if err == nil {
			all = addresses(out)
		}
		return err
	})
	return all, r, err
}

// associate is the compare-and-set: it succeeds only where the address is free or ours already.
func (k *Keeper) associate(ctx context.Context, allocation string) (association string, r result, err error) {
	r, err = k.call(ctx, opAssociate, func(ctx context.Context) error {
		out, err := k.o.Client.AssociateAddress(ctx, &ec2.AssociateAddressInput{
			AllocationId:       &allocation,
			NetworkInterfaceId: &k.o.Interface,
			PrivateIpAddress:   aws.String(k.o.PrivateIP.String()),
			AllowReassociation: aws.Bool(false), // left out it means true: that steals
		}, once)
		if err == nil {
			association = aws.ToString(out.AssociationId)
		}
		return err
	})
	return association, r, err
}

// disassociate ends that very association, which nobody else can have: never whatever the address has become.
func (k *Keeper) disassociate(ctx context.Context, association string) (result, error) {
	return k.call(ctx, opDisassociate, func(ctx context.Context) error {
		_, err := k.o.Client.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: &association}, once)
		return err
	})
}

// metadata returns what the instance metadata says our public address is; the zero Addr if it says nothing. It is a second
// opinion: one that cannot be had decides nothing.
func (k *Keeper) metadata(ctx context.Context) netip.Addr {
	if k.o.PublicIPv4 == nil {
		return netip.Addr{}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	public, err := k.o.PublicIPv4(ctx)
	if err != nil {
		return netip.Addr{}
	}
	return public
}
