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

// List returns the addresses of the pool, sorted by public address. It uses the SDK's own retries. An allocation id that does not
// exist is an error, and so is a pool without addresses.
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

// regionOf is the client's region in brackets, for a message; empty if the client does not show it.
func regionOf(client Client) string {
	if c, ok := client.(interface{ Options() ec2.Options }); ok {
		return " (" + c.Options().Region + ")"
	}
	return ""
}

// filters returns the filters of DescribeAddresses that select the pool.
func (s Selector) filters() []types.Filter {
	switch {
	case s.anyValue:
		return []types.Filter{filter("tag-key", s.key)}
	case s.key != "":
		return []types.Filter{filter("tag:"+s.key, s.value)}
	}
	return []types.Filter{filter("allocation-id", s.allocations...)}
}

// wild escapes the wildcards in the values of filters.
var wild = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// filter passes addresses whose attribute has one of the values, compared as they are.
func filter(name string, values ...string) types.Filter {
	f := types.Filter{Name: &name}
	for _, v := range values {
		f.Values = append(f.Values, wild.Replace(v))
	}
	return f
}

// addresses converts a listing.
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
		// An empty or malformed address stays the zero Addr.
		one.Public, _ = netip.ParseAddr(aws.ToString(a.PublicIp))
		one.Private, _ = netip.ParseAddr(aws.ToString(a.PrivateIpAddress))
		for _, t := range a.Tags {
			one.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		all = append(all, one)
	}
	return all
}

// maxHolders is how many holders shortage names.
const maxHolders = 10

// shortage is the reason why a pool without free addresses has none: who holds them. missing are allocation ids that do not exist,
// region is as of regionOf.
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
