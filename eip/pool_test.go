package eip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestListIsSortedAndComplete(t *testing.T) {
	r := newRegion(t, 12, 2, sim.EC2Options{})
	r.Move(r.pool[10], eni(0))
	foreign := r.AddAddress(map[string]string{poolTag: "other"})
	client := NewClient(testConfig(r.Transport()))
	for text, want := range map[string][]string{
		"tag:" + poolTag + "=aoai":  r.pool,
		"tag-key:" + poolTag:        append(append([]string{}, r.pool...), foreign),
		r.pool[3] + "," + r.pool[1]: {r.pool[1], r.pool[3]},
		"tag:" + poolTag + "=other": {foreign},
	} {
		all, err := List(t.Context(), client, selector(t, text))
		require.NoError(t, err, text)
		var got []string
		for _, a := range all {
			got = append(got, a.Allocation)
		}
		require.Equal(t, want, got, text)
	}
	all, err := List(t.Context(), client, selector(t, r.pool[10]))
	require.NoError(t, err)
	require.Equal(t, Address{Public: netip.MustParseAddr("198.51.0.11"), Allocation: r.pool[10], Association: "eipassoc-00000000000000001",
		Interface: eni(0), Private: private(0), Instance: "i-00000000000000000", Tags: map[string]string{poolTag: "aoai"}}, all[0])
	require.False(t, all[0].Free())
	require.Equal(t, "i-00000000000000000", all[0].Holder())
	require.Equal(t, "eni-1", Address{Interface: "eni-1", Association: "a"}.Holder())
	require.Empty(t, Address{}.Holder())
}

func TestListOfNothingIsAnError(t *testing.T) {
	r := newRegion(t, 1, 1, sim.EC2Options{})
	client := NewClient(testConfig(r.Transport()))
	for text, want := range map[string]string{
		"tag:" + poolTag + "=none":                         "list the pool: no address in this account and region (eu-central-1) matches tag:" + poolTag + "=none",
		r.pool[0] + ",eipalloc-0000dead,eipalloc-0000beef": "list the pool: eipalloc-0000dead, eipalloc-0000beef does not exist in this account and region (eu-central-1)",
	} {
		_, err := List(t.Context(), client, selector(t, text))
		require.EqualError(t, err, want)
	}
	r.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{"DescribeAddresses": true} })
	_, err := List(t.Context(), client, selector(t, "tag:a=b"))
	require.ErrorContains(t, err, "list the pool tag:a=b: ec2:DescribeAddresses on * is not permitted")
}

// The values of EC2's filters have wildcards. A tag with one in it must not select other addresses.
func TestFiltersAreEscaped(t *testing.T) {
	f := filter("tag:a", `x*y?z\`, "plain")
	require.Equal(t, "tag:a", *f.Name)
	require.Equal(t, []string{`x\*y\?z\\`, "plain"}, f.Values)
}

// The reason for a missing address is what a person reads at night: who holds the addresses.
func TestShortageNamesTheHolders(t *testing.T) {
	pool := selector(t, "tag:a=b")
	holders := func(n int) (all []Address) {
		for i := range n {
			all = append(all, Address{Public: netip.AddrFrom4([4]byte{198, 51, 0, byte(i)}), Association: "x", Instance: fmt.Sprint("i-", i)})
		}
		return all
	}
	require.Equal(t, "the pool tag:a=b has no address in this account and region (eu-west-1)", shortage(pool, nil, nil, " (eu-west-1)"))
	require.Equal(t, "the pool tag:a=b has 1 address, which is not free: 198.51.0.0 by i-0", shortage(pool, holders(1), nil, ""))
	require.Equal(t, "the pool tag:a=b has 2 addresses, none is free: 198.51.0.0 by i-0, 198.51.0.1 by i-1", shortage(pool, holders(2), nil, ""))
	ten := shortage(pool, holders(10), nil, "")
	require.Equal(t, 10, strings.Count(ten, " by "))
	require.NotContains(t, ten, "more")
	many := shortage(pool, holders(13), nil, "")
	require.Equal(t, 10, strings.Count(many, " by "))
	require.True(t, strings.HasSuffix(many, ", and 3 more"), many)
	require.Equal(t, "the pool tag:a=b has 1 address, which is not free: 198.51.0.0 by somebody until just now; eipalloc-1, eipalloc-2 does not exist",
		shortage(pool, []Address{{Public: netip.MustParseAddr("198.51.0.0")}}, []string{"eipalloc-1", "eipalloc-2"}, ""))
}

// A keeper whose list of allocation ids has one that does not exist says so, and uses the others.
func TestMissingAllocationIsNamedInTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 2, sim.EC2Options{})
		r.Move(r.pool[0], eni(1))
		o := r.options(0)
		o.Selector = selector(t, r.pool[0]+",eipalloc-0000dead")
		k, stop := run(t, o)
		defer stop()
		time.Sleep(10 * time.Second)
		require.ErrorContains(t, k.Check(), "; eipalloc-0000dead does not exist")
		s := k.Status()
		require.Len(t, s.Pool, 1)
		require.Equal(t, r.pool[0], s.Pool[0].Allocation)
		require.Less(t, time.Since(s.PoolAt), 10*time.Second)
		s.Pool[0].Allocation = "changed by the caller"
		require.Equal(t, r.pool[0], k.Status().Pool[0].Allocation)
		r.Move(r.pool[0], "")
		until(t, time.Minute, held(k))
	})
}

// missingPermissions are the permissions that Permissions found missing, and what kept others from being tested.
func missingPermissions(ctx context.Context, client Client, pool Selector, eni string, private netip.Addr) (missing []*PermissionError, err error) {
	all, err := Permissions(ctx, client, pool, eni, private)
	for _, p := range all {
		var denied *PermissionError
		switch {
		case errors.As(p.Err, &denied):
			missing = append(missing, denied)
		case p.Err != nil && p.Err != ErrNoAddress:
			err = errors.Join(err, p.Err)
		}
	}
	return missing, err
}

func TestPermissionsAreTestedWithoutChangingAnything(t *testing.T) {
	check := func(r *region, pool string) (missing []string, err error) {
		all, err := missingPermissions(t.Context(), NewClient(testConfig(r.Transport())), selector(t, pool), eni(0), private(0))
		for _, p := range all {
			missing = append(missing, p.Action+" on "+strings.Join(p.Resources, " "))
		}
		return missing, err
	}
	const pool = "tag:" + poolTag + "=aoai"
	r := newRegion(t, 1, 1, sim.EC2Options{})
	missing, err := check(r, pool)
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Empty(t, r.Holders())
	require.Equal(t, 1, r.Calls()["AssociateAddress DryRunOperation"])
	require.Equal(t, 1, r.Calls()["DisassociateAddress DryRunOperation"])

	r.Configure(func(o *sim.EC2Options) {
		o.Denied = map[string]bool{"AssociateAddress": true, "DisassociateAddress": true}
	})
	missing, err = check(r, pool)
	require.NoError(t, err)
	const eni0 = " arn:aws:ec2:*:*:network-interface/eni-00000000000000000"
	require.Equal(t, []string{"ec2:AssociateAddress on arn:aws:ec2:*:*:elastic-ip/" + r.pool[0] + eni0,
		"ec2:DisassociateAddress on arn:aws:ec2:*:*:elastic-ip/" + r.pool[0] + eni0}, missing)

	// Without a listing there is no address to test an association with.
	r.Configure(func(o *sim.EC2Options) {
		o.Denied = map[string]bool{"DescribeAddresses": true, "AssociateAddress": true}
	})
	missing, err = check(r, pool)
	require.NoError(t, err)
	require.Equal(t, []string{"ec2:DescribeAddresses on *"}, missing)

	_, err = check(r, "tag:x=y")
	require.NoError(t, err)
	r.Configure(func(o *sim.EC2Options) { o.Denied = nil })
	_, err = check(r, "tag:x=y")
	require.ErrorContains(t, err, "no address in this account and region")

	r.Configure(func(o *sim.EC2Options) {
		o.Fault = func(c sim.Call) sim.Fault {
			if c.Action == "DisassociateAddress" {
				return sim.Internal
			}
			return sim.NoFault
		}
	})
	missing, err = check(r, pool)
	require.ErrorContains(t, err, "ask for permission to disassociate: InternalError")
	require.Empty(t, missing)
}

func TestTagsHaveTheBoundsOfEC2(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"tag:" + strings.Repeat("ä", 128) + "=x", true},
		{"tag:" + strings.Repeat("ä", 129) + "=x", false},
		{"tag-key:" + strings.Repeat("k", 128), true},
		{"tag-key:" + strings.Repeat("k", 129), false},
		{"tag:k=" + strings.Repeat("ä", 256), true},
		{"tag:k=" + strings.Repeat("ä", 257), false},
		{"tag:k=a?", false},
		{"tag-key:a ", false},
		{"eipalloc-01234567", true},
		{"eipalloc-0123456", false},
		{"eipalloc-0123456789abcdef0", true},
		{"eipalloc-0123456789abcdef01", false},
		{"eipalloc-01234567, eipalloc-01234568", true},
		{"a=b,c=d", false},
	} {
		s, err := ParseSelector(c.text)
		require.Equal(t, c.ok, err == nil, c.text)
		if err == nil {
			again, err := ParseSelector(s.String())
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
	}
	require.Empty(t, Selector{}.String())
	require.Equal(t, []string{"eipalloc-00000002"}, selector(t, "eipalloc-00000001,eipalloc-00000002").missing([]Address{{Allocation: "eipalloc-00000001"}}))
	require.Empty(t, selector(t, "tag:a=b").missing(nil))
}

// FuzzSelector: a selector that is accepted is written as it is read, and matches no address without tags unless it lists it.
func FuzzSelector(f *testing.F) {
	for _, s := range []string{"tag:a=b", "tag-key:a", "eipalloc-00000001,eipalloc-00000002", "tag:a==", "", "tag: =", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := ParseSelector(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		require.False(t, s.Matches(Address{}))
	})
}
