package eip

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// List returns the addresses of the pool in the order of their public addresses, with the SDK's own retries. An allocation
// id that does not exist is an error, as is a pool without addresses.
func List(ctx context.Context, client Client, pool Selector) ([]Address, error) {
	out, err := client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: pool.filters()})
	if err != nil {
		return nil, explain("list the pool "+pool.String(), err, opDescribe, "", "")
	}
	all := addresses(out)
	if gone := pool.missing(all); len(gone) > 0 {
		return nil, fmt.Errorf("list the pool: %s does not exist in this account and region%s", strings.Join(gone, ", "), regionOf(client))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("list the pool: no address in this account and region%s matches %s", regionOf(client), pool)
	}
	slices.SortFunc(all, func(a, b Address) int { return a.Public.Compare(b.Public) })
	return all, nil
}

// regionOf is the region that the client asks, for a message; empty where it does not tell.
func regionOf(client Client) string {
	if c, tells := client.(interface{ Options() ec2.Options }); tells {
		return " (" + c.Options().Region + ")"
	}
	return ""
}

// filters have EC2 select the pool.
func (s Selector) filters() []types.Filter {
	switch {
	case s.anyValue:
		return []types.Filter{filter("tag-key", s.key)}
	case s.key != "":
		return []types.Filter{filter("tag:"+s.key, s.value)}
	}
	return []types.Filter{filter("allocation-id", s.allocations...)}
}

// wild are the characters that mean something in the values of filters.
var wild = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func filter(name string, values ...string) types.Filter {
	f := types.Filter{Name: &name}
	for _, v := range values {
		f.Values = append(f.Values, wild.Replace(v))
	}
	return f
}

func addresses(out *ec2.DescribeAddressesOutput) []Address {
	all := make([]Address, 0, len(out.Addresses))
	for _, a := range out.Addresses {
		one := Address{
			Allocation:  aws.ToString(a.AllocationId),
			Association: aws.ToString(a.AssociationId),
			Interface:   aws.ToString(a.NetworkInterfaceId),
			Instance:    aws.ToString(a.InstanceId),
			Tags:        map[string]string{},
		}
		// What is no address, as nothing in the text, stays the zero Addr.
		one.Public, _ = netip.ParseAddr(aws.ToString(a.PublicIp))
		one.Private, _ = netip.ParseAddr(aws.ToString(a.PrivateIpAddress))
		for _, t := range a.Tags {
			one.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		all = append(all, one)
	}
	return all
}

// maxHolders is how many holders a reason names.
const maxHolders = 10

// shortage says why no address can be had from a listed pool without free ones.
func shortage(pool Selector, all []Address, missing []string, region string) string {
	text := fmt.Sprintf("the pool %s has %d addresses, none is free: ", pool, len(all))
	switch len(all) {
	case 0:
		text = fmt.Sprintf("the pool %s has no address in this account and region%s", pool, region)
	case 1:
		text = fmt.Sprintf("the pool %s has 1 address, which is not free: ", pool)
	}
	var held []string
	for _, a := range all {
		held = append(held, fmt.Sprintf("%s by %s", a.Public, cmp.Or(a.Holder(), "somebody until just now")))
	}
	if more := len(held) - maxHolders; more > 0 {
		held = append(held[:maxHolders], fmt.Sprintf("and %d more", more))
	}
	text += strings.Join(held, ", ")
	if len(missing) > 0 {
		text += "; " + strings.Join(missing, ", ") + " does not exist"
	}
	return text
}
