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

// How long one call may take. EC2 usually answers within a second, an association may take a few. A release may have as little as
// 10 s; a call without an answer must leave time for a second attempt.
const (
	callTimeout        = 10 * time.Second
	releaseCallTimeout = 4 * time.Second
)

// once turns off the SDK's own retries. The keeper must see each attempt: a repeated association may be refused because the first
// one took effect, and many daemons that repeat at once only empty the account's token bucket.
func once(o *ec2.Options) {
	o.Retryer = aws.NopRetryer{}
	o.APIOptions = append(o.APIOptions, answer.Service{Name: "EC2"}.Genuine)
}

// call makes one call of at most k.callLimit and counts its result. The caller holds the calls lock.
func (k *Keeper) call(ctx context.Context, op operation, do func(context.Context) error) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, k.callLimit)
	defer cancel()
	err := do(ctx)
	r := resultOf(err)
	k.stats.operations[op][r].Add(1)
	return r, err
}

// describe lists the addresses that pass the filters; without filters, all of the account in the region. The listing may be stale.
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

// associate is the compare-and-set: it succeeds only if the address is free or ours already.
func (k *Keeper) associate(ctx context.Context, allocation string) (association string, r result, err error) {
	r, err = k.call(ctx, opAssociate, func(ctx context.Context) error {
		out, err := k.o.Client.AssociateAddress(ctx, &ec2.AssociateAddressInput{
			AllocationId:       &allocation,
			NetworkInterfaceId: &k.o.Interface,
			PrivateIpAddress:   aws.String(k.o.PrivateIP.String()),
			AllowReassociation: aws.Bool(false), // must be set: the default, true, takes the address from its holder
		}, once)
		if err == nil {
			association = aws.ToString(out.AssociationId)
		}
		return err
	})
	return association, r, err
}

// disassociate ends an association by its id, which only we can have had. It never ends what somebody made of the address since.
func (k *Keeper) disassociate(ctx context.Context, association string) (result, error) {
	return k.call(ctx, opDisassociate, func(ctx context.Context) error {
		_, err := k.o.Client.DisassociateAddress(ctx, &ec2.DisassociateAddressInput{AssociationId: &association}, once)
		return err
	})
}

// metadata returns our public address as the instance metadata shows it; the zero Addr if they show none or cannot be read. It is
// only a hint, so an error is not reported.
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
